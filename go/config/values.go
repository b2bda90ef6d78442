package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// custom is a value with a spelling of its own.
type custom interface {
	read(n *node) error
	// plain is the value as JSON would hold it.
	plain() any
	schema() map[string]any
}

func isCustom(t reflect.Type) bool { return reflect.PointerTo(t).Implements(reflect.TypeFor[custom]()) }

// Modules selects modules as PEFT does: by the ends of their names, by a
// regular expression that must match the full name, or all linear layers.
type Modules struct {
	Names   []string // a module matches if it is a name or ends in "." and a name
	Pattern string   // where Names is nil
}

// AllLinear reports whether every linear layer but the head is selected.
func (m Modules) AllLinear() bool { return strings.EqualFold(m.Pattern, "all-linear") }

// None reports whether nothing is selected.
func (m Modules) None() bool { return len(m.Names) == 0 && m.Pattern == "" }

func (m *Modules) read(n *node) error {
	*m = Modules{}
	if n.kind == scalar {
		if strings.Contains(n.text, ",") && !strings.ContainsAny(n.text, `\()[]{}*+?|^$`) {
			return fmt.Errorf("%q is one regular expression; write a list: [%s]", n.text, n.text)
		}
		if n.typed {
			return fmt.Errorf("want all-linear, a list of names or a regular expression, got %s", n.text)
		}
		m.Pattern = n.text
		return nil
	}
	if n.kind != list {
		return fmt.Errorf("want all-linear, a list of names or a regular expression, got %s", n.describe())
	}
	m.Names = []string{}
	for _, item := range n.items {
		if item.kind != scalar || item.text == "" || item.typed {
			return fmt.Errorf("want a list of names, got %s in it", item.describe())
		}
		m.Names = append(m.Names, item.text)
	}
	return nil
}

func (m *Modules) plain() any {
	if m.Pattern != "" {
		return m.Pattern
	}
	if m.Names == nil {
		return []string{}
	}
	return m.Names
}

func (m *Modules) schema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "items": map[string]any{"type": "string", "minLength": 1}},
	}}
}

// Size is a number of bytes; 0 is auto.
type Size int64

var (
	sizes     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B)$`)
	multiples = map[string]float64{"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
)

func (s *Size) read(n *node) error {
	if n.kind == scalar && n.text == "auto" {
		*s = 0
		return nil
	}
	if n.kind == scalar {
		if v, err := strconv.ParseInt(n.text, 10, 64); err == nil && v > 0 && n.plain {
			*s = Size(v)
			return nil
		}
		if m := sizes.FindStringSubmatch(n.text); m != nil {
			number, err := strconv.ParseFloat(m[1], 64)
			if v := number * multiples[m[2]]; err == nil && v >= 1 && v < 1<<62 {
				*s = Size(v)
				return nil
			}
		}
	}
	return fmt.Errorf("want auto or a size such as 24GiB, got %s", n.describe())
}

func (s *Size) plain() any {
	if *s == 0 {
		return "auto"
	}
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if m := Size(multiples[unit]); *s%m == 0 {
			return fmt.Sprintf("%d%s", *s/m, unit)
		}
	}
	return int64(*s)
}

func (s *Size) schema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"const": "auto"},
		map[string]any{"type": "integer", "minimum": 1},
		map[string]any{"type": "string", "pattern": sizes.String()},
	}}
}

// plainValue is a field's value as JSON would hold it.
func plainValue(v reflect.Value) any {
	if isCustom(v.Type()) {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		return p.Interface().(custom).plain()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plainValue(v.Index(i))
		}
		return items
	case reflect.Map:
		if v.IsNil() {
			return map[string]any{}
		}
	case reflect.Struct:
		var o ordered
		for _, f := range fields(v.Type()) {
			o = append(o, member{f.name, plainValue(v.FieldByIndex(f.Index))})
		}
		return o
	}
	return v.Interface()
}

// ordered is a JSON object whose keys keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	for i, m := range o {
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(&b, "%q:%s", m.name, value)
	}
	return []byte(b.String() + "}"), nil
}
