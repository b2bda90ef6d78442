package jinja

import (
	"maps"
	"slices"
)

var tests = allTests()

func allTests() map[string]test {
	all := maps.Clone(plainTests)
	for op, names := range map[string][]string{
		"==": {"eq", "equalto", "=="}, "!=": {"ne", "!="}, "<": {"lt", "lessthan", "<"},
		"<=": {"le", "<="}, ">": {"gt", "greaterthan", ">"}, ">=": {"ge", ">="}, "in": {"in"},
	} {
		for _, name := range names {
			all[name] = test{"other", func(s *state, v any, a arguments) bool {
				return s.compare(op, v, a.get("other", nil))
			}}
		}
	}
	return all
}

func plain(holds func(v any) bool) test {
	return test{"", func(_ *state, v any, _ arguments) bool { return holds(v) }}
}

func typeIs(names ...string) test {
	return plain(func(v any) bool { return slices.Contains(names, typeName(v)) })
}

func textIs(holds func(string) bool) test {
	return test{"", func(s *state, v any, _ arguments) bool {
		text := s.str(v)
		s.pay(copies, text, nil)
		return holds(text)
	}}
}

// remainder tells whether v modulo n is r.
func (s *state) remainder(v, n, r any) bool {
	defined(v)
	if _, ok := asFloat(v); !ok {
		fail("the test needs a number, not %s", typeName(v))
	}
	return s.equal(s.arithmetic("%", v, n), r)
}

var plainTests = map[string]test{
	"defined":   plain(func(v any) bool { return typeName(v) != "Undefined" }),
	"undefined": typeIs("Undefined"),
	"none":      plain(func(v any) bool { return v == nil }),
	"boolean":   typeIs("bool"),
	"true":      plain(func(v any) bool { b, ok := v.(bool); return ok && b }),
	"false":     plain(func(v any) bool { b, ok := v.(bool); return ok && !b }),
	"string":    typeIs("str", "Markup"),
	"mapping":   typeIs("dict"),
	"iterable": typeIs("str", "Markup", "list", "tuple", "dict", "range", "generator", "Undefined",
		"dict_keys", "dict_values", "dict_items"),
	"sequence": typeIs("str", "Markup", "list", "tuple", "dict", "range", "Undefined"),
	"number":   typeIs("int", "float", "bool"),
	"integer":  typeIs("int"),
	"float":    typeIs("float"),
	"callable": plain(func(v any) bool {
		_, ok := v.(builtin)
		return ok || typeName(v) == "Macro" || typeName(v) == "LoopContext"
	}),
	"escaped": typeIs("Markup"),
	"lower":   textIs(isLower),
	"upper":   textIs(isUpper),
	"odd":     {"", func(s *state, v any, _ arguments) bool { return s.remainder(v, int64(2), int64(1)) }},
	"even":    {"", func(s *state, v any, _ arguments) bool { return s.remainder(v, int64(2), int64(0)) }},
	"divisibleby": {"num", func(s *state, v any, a arguments) bool {
		return s.remainder(v, a.get("num", nil), int64(0))
	}},
	"sameas": {"other", func(s *state, v any, a arguments) bool { return s.identical(v, a.get("other", nil)) }},
	"filter": {"", func(s *state, v any, _ arguments) bool { _, ok := s.filters[s.str(v)]; return ok }},
	"test":   {"", func(s *state, v any, _ arguments) bool { _, ok := s.tests[s.str(v)]; return ok }},
}

// identical is Python's "is", as far as values tell: lists and dicts are the
// same only where they share their storage.
func (s *state) identical(a, b any) bool {
	if typeName(a) != typeName(b) {
		return false
	}
	if d, ok := a.(*Dict); ok {
		return d == b.(*Dict)
	}
	if x, ok := a.([]any); ok {
		y := b.([]any)
		return len(x) == len(y) && len(x) > 0 && &x[0] == &y[0]
	}
	return s.equal(a, b)
}
