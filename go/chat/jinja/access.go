package jinja

import (
	"slices"
	"unicode/utf8"
)

// attribute is v.name: a method or attribute, else the item of that name.
func (s *state) attribute(v any, name string) any {
	defined(v)
	if m, ok := s.member(v, name); ok {
		return m
	}
	if d, ok := v.(*Dict); ok {
		if value, ok := d.Get(name); ok {
			return value
		}
	}
	return undefined{"'" + typeName(v) + "' object has no attribute '" + name + "'"}
}

// item is v[key]: the item, else the attribute of that name.
func (s *state) item(v, key any) any {
	defined(v)
	s.scan(weight(key))
	if d, ok := v.(*Dict); ok {
		if value, ok := d.get(key); ok {
			return value
		}
	} else if i, ok := asInt(key); ok {
		if item, ok := s.itemAt(v, i); ok {
			return item
		}
	}
	if name, ok := asString(key); ok {
		if m, ok := s.member(v, name); ok {
			return m
		}
	}
	reason := "'" + typeName(v) + "' object has no such element"
	if weight(key) < 64 {
		reason = "'" + typeName(v) + "' object has no element " + s.repr(key)
	}
	return undefined{reason}
}

// itemAt is the item at one index, counted from the end when negative.
func (s *state) itemAt(v any, i int64) (any, bool) {
	if text, ok := asString(v); ok {
		s.scan(len(text))
		if i < 0 {
			i += int64(utf8.RuneCountInString(text))
		}
		for _, r := range text {
			if i == 0 {
				return string(r), true
			}
			i--
		}
		return nil, false
	}
	items, ok := indexed(v)
	if i < 0 {
		i += int64(len(items))
	}
	if !ok || i < 0 || i >= int64(len(items)) {
		return nil, false
	}
	return items[i], true
}

// slice is v[start:stop:step]; like any item that cannot be had, that of a value
// without slices is undefined.
func (s *state) slice(v any, bounds [3]any) any {
	defined(v)
	for _, bound := range bounds {
		if _, ok := asInt(bound); !ok && bound != nil {
			return undefined{"the bounds of a slice must be integers or none, not " + typeName(bound)}
		}
	}
	if text, ok := asString(v); ok {
		s.scan(len(text))
		s.growTimes(4, int64(len(text)))
		runes := []rune(text)
		var out []rune
		steps(int64(len(runes)), bounds, func(i int64) { out = append(out, runes[i]) })
		return string(out)
	}
	items, ok := indexed(v)
	if !ok {
		return undefined{"'" + typeName(v) + "' object cannot be sliced"}
	}
	var count int64
	steps(int64(len(items)), bounds, func(int64) { count++ })
	s.scan(cell * len(items))
	s.growTimes(cell, count)
	out := make([]any, 0, count)
	steps(int64(len(items)), bounds, func(i int64) { out = append(out, items[i]) })
	return like(v, out)
}

// steps visits the indexes that a slice of n items selects, as Python's
// slice.indices does; the bounds are integers or nil.
func steps(n int64, bounds [3]any, visit func(i int64)) {
	step := int64(1)
	if bounds[2] != nil {
		if step, _ = asInt(bounds[2]); step == 0 {
			fail("the step of a slice must not be zero")
		}
		step = max(min(step, n+1), -n-1)
	}
	low, high := int64(0), n // where positive steps begin and end
	if step < 0 {
		low, high = -1, n-1
	}
	bound := func(v any, otherwise int64) int64 {
		if v == nil {
			return otherwise
		}
		i, _ := asInt(v)
		if i < 0 {
			i += n
		}
		return max(low, min(high, i))
	}
	if step > 0 {
		stop := bound(bounds[1], high)
		for i := bound(bounds[0], low); i < stop; i += step {
			visit(i)
		}
		return
	}
	stop := bound(bounds[1], low)
	for i := bound(bounds[0], high); i > stop; i += step {
		visit(i)
	}
}

// member is a method or attribute as Python's getattr finds it.
func (s *state) member(v any, name string) (any, bool) {
	switch x := v.(type) {
	case *namespace:
		value, ok := x.fields[name]
		return value, ok
	case *loop:
		return x.attribute(name)
	case *macro:
		return x.node.name, name == "name"
	case string:
		return stringMethod(x, name)
	case markup:
		return stringMethod(string(x), name)
	case *Dict:
		if slices.Contains([]string{"update", "pop", "popitem", "clear", "setdefault"}, name) {
			return undefined{"a template may not change a dict ('" + name + "')"}, true
		}
		return dictMethod(x, name)
	case group:
		switch name {
		case "grouper":
			return x[0], true
		case "list":
			return x[1], true
		}
	case []any:
		if slices.Contains([]string{"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"}, name) {
			return undefined{"a template may not change a list ('" + name + "')"}, true
		}
	}
	return listMethod(v, name)
}

// path is v.a.b.0 for "a.b.0", as map, sort and their like take it.
func (s *state) path(v any, path string) any {
	for _, part := range splitPath(path) {
		v = s.item(v, part)
	}
	return v
}
