package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v).
func (m *meter) str(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case markup:
		return string(x)
	case undefined:
		return ""
	}
	return m.repr(v)
}

// repr is Python's repr(v).
func (m *meter) repr(v any) string {
	w := writer{meter: m}
	w.repr(v, 0)
	return w.String()
}

// writer builds a text of unknown size and pays as it grows.
type writer struct {
	strings.Builder
	meter  *meter
	sorted bool // dicts by key, for pprint
}

func (w *writer) put(text string) {
	w.meter.grow(len(text))
	w.WriteString(text)
}

func (w *writer) repr(v any, level int) {
	w.meter.nested(level)
	switch x := v.(type) {
	case nil:
		w.put("None")
	case undefined:
		w.put("Undefined")
	case bool:
		if x {
			w.put("True")
		} else {
			w.put("False")
		}
	case int64:
		w.put(strconv.FormatInt(x, 10))
	case *big.Int:
		w.meter.scan(x.BitLen())
		w.put(x.String())
	case float64:
		w.put(floatText(x))
	case string:
		w.quote(x)
	case markup:
		w.put("Markup(")
		w.quote(string(x))
		w.put(")")
	case []any:
		w.items("[", x, "]", level)
	case tuple:
		w.tuple(x, level)
	case group:
		w.tuple(x, level)
	case view:
		w.items(x.name+"([", x.items, "])", level)
	case sequence:
		w.put(rangeText(x))
	case *Dict:
		w.dict(x, level)
	case *macro:
		w.put("<Macro ")
		w.quote(x.node.name)
		w.put(">")
	default:
		w.put("<" + typeName(v) + ">")
	}
}

func (w *writer) items(open string, items []any, end string, level int) {
	w.put(open)
	for i, item := range items {
		if i > 0 {
			w.put(", ")
		}
		w.repr(item, level+1)
	}
	w.put(end)
}

func (w *writer) tuple(items []any, level int) {
	if len(items) == 1 {
		w.items("(", items, ",)", level)
		return
	}
	w.items("(", items, ")", level)
}

func (w *writer) dict(d *Dict, level int) {
	keys := d.keys
	if w.sorted {
		keys = w.meter.sorted(keys, keys, false)
	}
	w.put("{")
	for i, key := range keys {
		if i > 0 {
			w.put(", ")
		}
		w.repr(key, level+1)
		w.put(": ")
		value, _ := d.get(key)
		w.repr(value, level+1)
	}
	w.put("}")
}

func rangeText(r sequence) string {
	if r.step != 1 {
		return fmt.Sprintf("range(%d, %d, %d)", r.start, r.stop, r.step)
	}
	return fmt.Sprintf("range(%d, %d)", r.start, r.stop)
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote writes a string as Python does: single quotes unless it holds only
// those, what cannot be printed as \x, \u or \U.
func (w *writer) quote(s string) {
	w.meter.scan(len(s))
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	w.put(string(q))
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			w.put(`\` + string(r))
		case r == '\n':
			w.put(`\n`)
		case r == '\r':
			w.put(`\r`)
		case r == '\t':
			w.put(`\t`)
		case unicode.IsPrint(r):
			w.put(string(r))
		case r <= 0xff:
			w.put(fmt.Sprintf(`\x%02x`, r))
		case r <= 0xffff:
			w.put(fmt.Sprintf(`\u%04x`, r))
		default:
			w.put(fmt.Sprintf(`\U%08x`, r))
		}
	}
	w.put(string(q))
}

// escape is the text of v with HTML's marks escaped, unless v is safe.
func (m *meter) escape(v any) string {
	if x, ok := v.(markup); ok {
		return string(x)
	}
	text := m.str(v)
	m.scan(len(text))
	marks := 0
	for i := range len(text) {
		if strings.IndexByte(`&<>'"`, text[i]) >= 0 {
			marks++
		}
	}
	m.grow(len(text) + 4*marks)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(text)
}
