package jinja

import "strings"

// compare is Python's == != < <= > >= in and not in.
func (s *state) compare(op string, a, b any) bool {
	switch op {
	case "==":
		return s.equal(a, b)
	case "!=":
		return !s.equal(a, b)
	case "in":
		return s.contains(b, a)
	case "not in":
		return !s.contains(b, a)
	}
	defined(a)
	defined(b)
	c := s.order(a, b, op, 0)
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func (m *meter) equal(a, b any) bool { return m.same(a, b, 0) }

func (m *meter) same(a, b any, level int) bool {
	m.nested(level)
	if x, ok := asString(a); ok {
		y, ok := asString(b)
		if ok && len(x) == len(y) {
			m.scan(len(x))
			return x == y
		}
		return false
	}
	if _, ok := asFloat(a); ok {
		_, ok := asFloat(b)
		return ok && numberOrder(a, b) == 0
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *Dict:
		y, ok := b.(*Dict)
		return ok && m.sameDict(x, y, level)
	case *namespace:
		y, ok := b.(*namespace)
		return ok && x == y
	case *macro:
		y, ok := b.(*macro)
		return ok && x == y
	case *loop:
		y, ok := b.(*loop)
		return ok && x == y
	}
	x, ok := indexed(a)
	y, ok2 := indexed(b)
	if !ok || !ok2 || typeName(a) != typeName(b) || len(x) != len(y) {
		return false
	}
	for i := range x {
		if !m.same(x[i], y[i], level+1) {
			return false
		}
	}
	return true
}

func (m *meter) sameDict(x, y *Dict, level int) bool {
	if x.Len() != y.Len() {
		return false
	}
	for _, key := range x.keys {
		m.scan(weight(key))
		v, _ := x.get(key)
		w, ok := y.get(key)
		if !ok || !m.same(v, w, level+1) {
			return false
		}
	}
	return true
}

// order is negative, zero or positive; values without an order fail.
func (m *meter) order(a, b any, op string, level int) int {
	m.nested(level)
	if x, ok := asString(a); ok {
		if y, ok := asString(b); ok {
			m.scan(min(len(x), len(y)))
			return strings.Compare(x, y)
		}
	}
	if _, ok := asFloat(a); ok {
		if _, ok := asFloat(b); ok {
			return numberOrder(a, b)
		}
	}
	x, ok := indexed(a)
	y, ok2 := indexed(b)
	if !ok || !ok2 || typeName(a) != typeName(b) {
		fail("'%s' is not defined between '%s' and '%s'", op, typeName(a), typeName(b))
	}
	for i := range min(len(x), len(y)) {
		if !m.same(x[i], y[i], level+1) {
			return m.order(x[i], y[i], op, level+1)
		}
	}
	return len(x) - len(y)
}

// numberOrder compares two numbers; integers exactly.
func numberOrder(a, b any) int {
	if p, q := asBig(a), asBig(b); p != nil && q != nil {
		return p.Cmp(q)
	}
	x, _ := asFloat(a)
	y, _ := asFloat(b)
	switch {
	case x < y:
		return -1
	case x == y:
		return 0
	}
	return 1
}

// contains is "item in holder".
func (s *state) contains(holder, item any) bool {
	if text, ok := asString(holder); ok {
		part, ok := asString(item)
		if !ok {
			fail("'in' of a string needs a string on its left, not %s", typeName(item))
		}
		s.scan(len(text) + len(part))
		return strings.Contains(text, part)
	}
	if d, ok := holder.(*Dict); ok {
		s.scan(weight(item))
		_, ok := d.get(item)
		return ok
	}
	for _, other := range s.iterate(holder) {
		if s.equal(item, other) {
			return true
		}
	}
	return false
}
