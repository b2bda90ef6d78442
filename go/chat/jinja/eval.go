package jinja

import "strings"

// eval computes an expression. After the parts of an operation are known, s.at
// is its own place again, for the error of the operation.
func (s *state) eval(n node) any {
	s.step()
	switch n := n.(type) {
	case *constNode:
		return n.value
	case *nameNode:
		return s.name(n)
	case *tupleNode:
		return tuple(s.evalAll(n.items))
	case *listNode:
		return s.evalAll(n.items)
	case *dictNode:
		return s.dict(n)
	case *unaryNode:
		value := s.eval(n.value)
		s.at = n.offset()
		return s.unary(n.op, value)
	case *binaryNode:
		return s.binary(n)
	case *compareNode:
		return s.comparison(n)
	case *concatNode:
		return s.concat(n)
	case *condNode:
		if truth(s.eval(n.test)) {
			return s.eval(n.yes)
		}
		if n.no == nil {
			return undefined{"the condition is false and there is no else"}
		}
		return s.eval(n.no)
	case *attrNode:
		value := s.eval(n.value)
		s.at = n.offset()
		return s.attribute(value, n.name)
	case *itemNode:
		return s.subscript(n)
	case *callNode:
		return s.call(n, nil)
	case *filterNode:
		return s.filter(n, s.eval(n.value))
	case *testNode:
		return s.test(n)
	}
	fail("a slice can only stand alone between brackets")
	return nil
}

func (s *state) evalAll(nodes []node) []any {
	s.grow(cell * len(nodes))
	values := make([]any, len(nodes))
	for i, n := range nodes {
		values[i] = s.eval(n)
	}
	return values
}

func (s *state) name(n *nameNode) any {
	if v, ok := s.lookup(n.name); ok {
		return v
	}
	if v, ok := s.globals[n.name]; ok {
		return v
	}
	return undefined{"'" + n.name + "' is undefined"}
}

func (s *state) dict(n *dictNode) *Dict {
	d := NewDict()
	s.growTimes(4*cell, int64(len(n.keys)))
	for i := range n.keys {
		key := s.eval(n.keys[i])
		value := s.eval(n.values[i])
		s.at = n.offset()
		s.set(d, key, value)
	}
	return d
}

// set pays for hashing the key.
func (s *state) set(d *Dict, key, value any) {
	s.scan(weight(key))
	d.put(hashOf(key), key, value)
}

func (s *state) binary(n *binaryNode) any {
	left := s.eval(n.left)
	switch {
	case n.op == "and" && !truth(left), n.op == "or" && truth(left):
		return left
	}
	right := s.eval(n.right)
	if n.op == "and" || n.op == "or" {
		return right
	}
	s.at = n.offset()
	return s.arithmetic(n.op, left, right)
}

func (s *state) comparison(n *compareNode) any {
	left := s.eval(n.first)
	for i, op := range n.ops {
		right := s.eval(n.rest[i])
		s.at = n.offset()
		if !s.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (s *state) concat(n *concatNode) any {
	var b strings.Builder
	for _, value := range s.evalAll(n.items) {
		text := s.str(value)
		s.grow(len(text))
		b.WriteString(text)
	}
	return b.String()
}

func (s *state) subscript(n *itemNode) any {
	value := s.eval(n.value)
	bounds, ok := n.key.(*sliceNode)
	if !ok {
		key := s.eval(n.key)
		s.at = n.offset()
		return s.item(value, key)
	}
	var at [3]any
	for i, bound := range bounds.bounds {
		if bound != nil {
			at[i] = s.eval(bound)
		}
	}
	s.at = n.offset()
	return s.slice(value, at)
}

func (s *state) filter(n *filterNode, value any) any {
	args, named := s.arguments(n.args)
	s.at = n.offset()
	return s.applyFilter(n.name, n.filter, value, args, named)
}

func (s *state) applyFilter(name string, f filter, value any, args []any, named *Dict) any {
	a := bind("the filter '"+name+"'", f.params, args, named)
	s.pay(f.cost, value, args)
	return f.call(s, value, a)
}

func (s *state) test(n *testNode) any {
	value := s.eval(n.value)
	args, named := s.arguments(n.args)
	s.at = n.offset()
	return s.applyTest(n.name, n.test, value, args, named) != n.negate
}

func (s *state) applyTest(name string, t test, value any, args []any, named *Dict) bool {
	return t.call(s, value, bind("the test '"+name+"'", t.params, args, named))
}
