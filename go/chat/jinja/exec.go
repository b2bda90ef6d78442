package jinja

// outcome is how a body ended.
type outcome int

const (
	finished outcome = iota
	broke
	continued
)

// run executes statements until the end, a break or a continue.
func (s *state) run(body []node) outcome {
	for _, n := range body {
		s.step()
		s.at = n.offset()
		if o := s.exec(n); o != finished {
			return o
		}
	}
	return finished
}

func (s *state) exec(n node) outcome {
	switch n := n.(type) {
	case *textNode:
		s.write(n.text)
	case *printNode:
		s.write(s.str(s.eval(n.value)))
	case *ifNode:
		return s.run(s.branch(n))
	case *forNode:
		s.forLoop(n, s.eval(n.items), 0)
	case *setNode:
		s.assign(n.target, s.eval(n.value))
	case *setBlockNode:
		s.assign(n.target, s.apply(n.filters, s.captureBlock(n.body)))
	case *filterBlockNode:
		s.write(s.str(s.apply(n.filters, s.captureBlock(n.body))))
	case *macroNode:
		s.scope.names[n.name] = &macro{n, s.scope}
	case *callBlockNode:
		s.write(s.str(s.call(n.call, &macro{n.body, s.scope})))
	case *withNode:
		return s.with(n)
	case *generationNode:
		s.generation(n)
	case *breakNode:
		return broke
	case *continueNode:
		return continued
	}
	return finished
}

func (s *state) branch(n *ifNode) []node {
	for i, test := range n.tests {
		if truth(s.eval(test)) {
			return n.bodies[i]
		}
	}
	return n.elseBody
}

func (s *state) apply(filters []*filterNode, value any) any {
	for _, f := range filters {
		value = s.filter(f, value)
	}
	return value
}

func (s *state) with(n *withNode) (o outcome) {
	values := make([]any, len(n.values))
	for i, v := range n.values {
		values[i] = s.eval(v)
	}
	s.within(s.scope.child(), func() {
		for i, t := range n.targets {
			s.assign(t, values[i])
		}
		o = s.run(n.body)
	})
	return o
}

func (s *state) generation(n *generationNode) {
	if s.captured > 0 && s.options.Spans {
		fail("{%% generation %%} stands in a macro, set, filter or call block, where what it writes has no position in the text")
	}
	begin := s.out.Len()
	s.within(s.scope.child(), func() { s.run(n.body) })
	if s.captured == 0 {
		s.spans = append(s.spans, Span{begin, s.out.Len()})
	}
}

func (s *state) assign(target node, value any) {
	switch t := target.(type) {
	case *nameNode:
		s.scope.names[t.name] = value
	case *attrNode:
		holder, _ := s.lookup(t.value.(*nameNode).name)
		ns, ok := holder.(*namespace)
		if !ok {
			fail("'%s' is no namespace, so its attributes cannot be set", t.value.(*nameNode).name)
		}
		ns.fields[t.name] = value
	case *tupleNode:
		items := s.iterate(value)
		if len(items) != len(t.items) {
			fail("cannot unpack %d values into %d names", len(items), len(t.items))
		}
		for i, item := range t.items {
			s.assign(item, items[i])
		}
	}
}

func (s *state) forLoop(n *forNode, value any, depth int) {
	s.enter()
	defer s.leave()
	items := s.iterate(value)
	outer := s.scope
	defer func() { s.scope = outer }()
	if n.filter != nil {
		items = s.filtered(n, items, outer)
	}
	if len(items) == 0 {
		s.scope = outer.child()
		s.run(n.elseBody)
		return
	}
	l := &loop{items: items, depth: depth}
	if n.recursive {
		l.again = func(v any) any {
			return s.capture(func() {
				s.within(outer, func() { s.forLoop(n, v, depth+1) })
			})
		}
	}
	for i, item := range items {
		s.step()
		l.index = i
		s.scope = outer.child()
		s.scope.names["loop"] = l
		s.assign(n.target, item)
		if s.run(n.body) == broke {
			return
		}
	}
}

// filtered keeps the items for which "for ... if" holds.
func (s *state) filtered(n *forNode, items []any, outer *scope) (kept []any) {
	for _, item := range items {
		s.step()
		s.scope = outer.child()
		s.assign(n.target, item)
		if truth(s.eval(n.filter)) {
			kept = append(kept, item)
		}
	}
	return kept
}
