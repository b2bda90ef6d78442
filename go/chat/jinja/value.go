package jinja

import (
	"math/big"
	"unicode/utf8"
)

// Values are Go any: nil (None), bool, int64, *big.Int (beyond int64), float64,
// string, []any (list), *Dict, and the types below.
type (
	undefined struct{ reason string }
	markup    string // a string marked safe
	tuple     []any
	generator []any    // result of map, select and the like: neither a list nor JSON
	group     []any    // a pair of groupby: a tuple with names
	view      struct { // dict.keys(), values(), items()
		name  string
		items []any
	}
	sequence struct {
		items             []any
		start, stop, step int64
	} // range
	namespace struct{ fields map[string]any }
	builtin   struct {
		name   string
		params string
		call   func(s *state, a arguments) any
	}
)

func typeName(v any) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case undefined:
		return "Undefined"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case []any:
		return "list"
	case tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case generator:
		return "generator"
	case group:
		return "tuple"
	case view:
		return x.name
	case sequence:
		return "range"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return "object"
}

// truth is Python's bool(v).
func truth(v any) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case markup:
		return x != ""
	case *Dict:
		return x.Len() > 0
	case view:
		return len(x.items) > 0
	}
	if items, ok := indexed(v); ok {
		return len(items) > 0
	}
	return true
}

func asString(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case markup:
		return string(x), true
	}
	return "", false
}

func asInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func asFloat(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		return f, true
	}
	i, ok := asInt(v)
	return float64(i), ok
}

// asBig is the integer v, or nil.
func asBig(v any) *big.Int {
	if z, ok := v.(*big.Int); ok {
		return z
	}
	if i, ok := asInt(v); ok {
		return big.NewInt(i)
	}
	return nil
}

// integer keeps small integers as int64, so that they compare as such.
func integer(z *big.Int) any {
	if z.IsInt64() {
		return z.Int64()
	}
	return z
}

// indexed gives the items of a list, tuple or range.
func indexed(v any) ([]any, bool) {
	switch x := v.(type) {
	case []any:
		return x, true
	case tuple:
		return x, true
	case group:
		return x, true
	case sequence:
		return x.items, true
	}
	return nil, false
}

// iterate lists the items of an iterable; it fails as Python does. The result
// may be the value's own storage: it is not to be written to.
func (m *meter) iterate(v any) []any {
	if items, ok := indexed(v); ok {
		return items
	}
	switch x := v.(type) {
	case generator:
		return x
	case view:
		return x.items
	case *Dict:
		return x.keys
	case undefined:
		return nil
	case string:
		m.growTimes(cell, int64(len(x)))
		items := make([]any, 0, len(x))
		for _, r := range x {
			items = append(items, string(r))
		}
		return items
	case markup:
		return m.iterate(string(x))
	}
	fail("'%s' object is not iterable", typeName(v))
	return nil
}

// length is Python's len(v); characters for a string.
func length(v any) int64 {
	if s, ok := asString(v); ok {
		return int64(utf8.RuneCountInString(s))
	}
	if items, ok := indexed(v); ok {
		return int64(len(items))
	}
	switch x := v.(type) {
	case *Dict:
		return int64(x.Len())
	case view:
		return int64(len(x.items))
	case undefined:
		return 0
	}
	fail("object of type '%s' has no len()", typeName(v))
	return 0
}

// weight is the work of looking through v once, in bytes.
func weight(v any) int {
	if s, ok := asString(v); ok {
		return len(s)
	}
	if items, ok := indexed(v); ok {
		return cell * len(items)
	}
	switch x := v.(type) {
	case *Dict:
		return cell * x.Len()
	case generator:
		return cell * len(x)
	case view:
		return cell * len(x.items)
	}
	return 0
}
