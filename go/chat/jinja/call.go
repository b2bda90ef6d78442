package jinja

// macro is a macro with the scope it was defined in.
type macro struct {
	node  *macroNode
	scope *scope
}

// arguments evaluates an argument list; named is nil when there are none.
func (s *state) arguments(c *callNode) (args []any, named *Dict) {
	if c.args != nil {
		args = s.evalAll(c.args)
	}
	if c.spread != nil {
		more := s.iterate(s.eval(c.spread))
		s.grow(cell * (len(args) + len(more)))
		args = append(args[:len(args):len(args)], more...)
	}
	if c.names == nil && c.mapped == nil {
		return args, nil
	}
	named = NewDict()
	s.growTimes(4*cell, int64(len(c.names)))
	for i, name := range c.names {
		named.Set(name, s.eval(c.named[i]))
	}
	if c.mapped != nil {
		more, ok := s.eval(c.mapped).(*Dict)
		if !ok {
			fail("what follows ** must be a dict")
		}
		s.growTimes(4*cell, int64(more.Len()))
		for _, key := range more.Keys() {
			if _, twice := named.Get(key); twice {
				fail("the argument '%s' is given twice", key)
			}
			value, _ := more.Get(key)
			named.Set(key, value)
		}
	}
	return args, named
}

func (s *state) call(c *callNode, caller *macro) any {
	callee := s.eval(c.callee)
	args, named := s.arguments(c)
	s.at = c.offset()
	s.enter()
	defer s.leave()
	switch f := callee.(type) {
	case builtin:
		return f.call(s, bind("'"+f.name+"'", f.params, args, named))
	case *macro:
		return s.callMacro(f, args, named, caller)
	case *loop:
		if f.again == nil || len(args) != 1 {
			fail("a loop can be called with one argument, if it is marked 'recursive'")
		}
		return f.again(args[0])
	case undefined:
		fail("%s", f.reason)
	}
	fail("'%s' object is not callable", typeName(callee))
	return nil
}

func (s *state) callMacro(m *macro, args []any, named *Dict, caller *macro) any {
	n := m.node
	inner := m.scope.child()
	var text string
	s.within(inner, func() {
		used := s.parameters(n, args, named)
		s.extras(n, args, named, used)
		switch {
		case caller != nil && !n.caller:
			fail("the macro '%s' does not call its caller, so {%% call %%} cannot be used with it", n.name)
		case caller != nil:
			inner.names["caller"] = caller
		case n.caller:
			inner.names["caller"] = undefined{"the macro '" + n.name + "' was not called by {% call %}"}
		}
		text = s.capture(func() { s.run(n.body) })
	})
	return text
}

// parameters sets the parameters in the macro's scope and counts the named
// arguments used.
func (s *state) parameters(n *macroNode, args []any, named *Dict) (used int) {
	required := len(n.params) - len(n.defaults)
	for i, name := range n.params {
		value, given := named.Get(name)
		switch {
		case i < len(args) && given:
			fail("the macro '%s' got two values for '%s'", n.name, name)
		case i < len(args):
			value = args[i]
		case given:
			used++
		case i >= required:
			value = s.eval(n.defaults[i-required])
		default:
			value = undefined{"parameter '" + name + "' was not provided"}
		}
		s.scope.names[name] = value
	}
	return used
}

// extras sets varargs and kwargs where the macro uses them, else refuses them.
func (s *state) extras(n *macroNode, args []any, named *Dict, used int) {
	if n.varargs {
		s.scope.names["varargs"] = tuple(args[min(len(args), len(n.params)):])
	} else if len(args) > len(n.params) {
		fail("the macro '%s' takes at most %d arguments, %d given", n.name, len(n.params), len(args))
	}
	rest := NewDict()
	for _, key := range named.Keys() {
		if _, ok := s.scope.names[key]; !ok {
			value, _ := named.Get(key)
			rest.Set(key, value)
		}
	}
	if n.kwargs {
		s.scope.names["kwargs"] = rest
	} else if named.Len() > used {
		fail("the macro '%s' has no parameter '%s'", n.name, append(rest.Keys(), "caller")[0])
	}
}
