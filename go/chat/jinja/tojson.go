package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// encoder writes JSON as Python's json.dumps.
type encoder struct {
	writer
	pretty    bool
	indent    string
	item, key string // separators
	ascii     bool
	sort      bool
}

// tojson is the filter as transformers sets it up: json.dumps with
// ensure_ascii off, and without escapes for HTML.
func tojson(s *state, v any, a arguments) any {
	e := &encoder{writer: writer{meter: &s.meter}, item: ", ", key: ": ", ascii: a.truth("ensure_ascii"), sort: a.truth("sort_keys")}
	indent := a.get("indent", nil)
	if text, ok := asString(indent); ok {
		e.pretty, e.indent = true, text
	} else if indent != nil {
		e.pretty, e.indent = true, s.pad("", min(a.integer("indent", 0), maxField), true, false, " ")
	}
	if e.pretty {
		e.item = ","
	}
	if separators := a.get("separators", nil); separators != nil {
		pair, _ := indexed(separators)
		if len(pair) != 2 {
			fail("%s: 'separators' must be two strings", a.of)
		}
		e.item, e.key = s.str(pair[0]), s.str(pair[1])
	}
	e.value(v, 0)
	return e.String()
}

func (e *encoder) value(v any, level int) {
	e.meter.nested(level)
	switch x := v.(type) {
	case nil:
		e.put("null")
	case bool:
		e.put(strings.ToLower(e.meter.repr(x)))
	case int64, *big.Int:
		e.repr(x, level)
	case float64:
		e.put(jsonFloat(x))
	case string:
		e.text(x)
	case markup:
		e.text(string(x))
	case []any:
		e.list(x, level)
	case tuple:
		e.list(x, level)
	case group:
		e.list(x, level)
	case *Dict:
		e.object(x, level)
	default:
		fail("a value of type %s cannot be written as JSON", typeName(v))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return floatText(f)
}

// line begins a new line where the output is indented.
func (e *encoder) line(level int) {
	if e.pretty {
		e.meter.growTimes(len(e.indent), int64(level))
		e.put("\n")
		e.WriteString(strings.Repeat(e.indent, level))
	}
}

func (e *encoder) list(items []any, level int) {
	e.put("[")
	for i, item := range items {
		if i > 0 {
			e.put(e.item)
		}
		e.line(level + 1)
		e.value(item, level+1)
	}
	if len(items) > 0 {
		e.line(level)
	}
	e.put("]")
}

func (e *encoder) object(d *Dict, level int) {
	keys := d.keys
	if e.sort {
		keys = e.meter.sorted(keys, keys, false)
	}
	e.put("{")
	for i, key := range keys {
		if i > 0 {
			e.put(e.item)
		}
		e.line(level + 1)
		e.name(key)
		e.put(e.key)
		value, _ := d.get(key)
		e.value(value, level+1)
	}
	if len(keys) > 0 {
		e.line(level)
	}
	e.put("}")
}

// name writes a key; Python turns plain values into strings.
func (e *encoder) name(key any) {
	switch x := key.(type) {
	case nil, bool, int64, *big.Int, float64:
		inner := &encoder{writer: writer{meter: e.meter}}
		inner.value(x, 0)
		e.text(inner.String())
	case string:
		e.text(x)
	case markup:
		e.text(string(x))
	default:
		fail("a key of type %s cannot be written as JSON", typeName(key))
	}
}

func (e *encoder) text(s string) {
	e.meter.scan(len(s))
	e.put(`"`)
	for _, r := range s {
		at := strings.IndexRune("\"\\\n\r\t\b\f", r)
		switch {
		case at >= 0:
			e.put(`\` + `"\nrtbf`[at:at+1])
		case r >= 0x20 && (!e.ascii || r < 0x7f):
			e.put(string(r))
		case r > 0xffff:
			r -= 0x10000
			e.put(fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff)))
		default:
			e.put(fmt.Sprintf(`\u%04x`, r))
		}
	}
	e.put(`"`)
}
