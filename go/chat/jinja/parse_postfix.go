package jinja

import "slices"

// postfix reads accesses and calls behind a value.
func (p *parser) postfix(value node) node {
	for n := 0; ; n++ {
		p.chained(n)
		a := p.here()
		switch {
		case p.skipOp("."):
			switch t := p.next(); {
			case t.kind == tokenName:
				value = &attrNode{at(t.at), value, t.text}
			case t.kind == tokenNumber:
				value = &itemNode{at(t.at), value, &constNode{at(t.at), t.value}}
			default:
				failAt(t.at, "expected a name after '.', found "+t.describe())
			}
		case p.skipOp("["):
			key := p.subscript()
			if p.isOp(",") {
				keys := &tupleNode{a, []node{key}}
				for p.skipOp(",") {
					keys.items = append(keys.items, p.subscript())
				}
				key = keys
			}
			p.wantOp("]")
			value = &itemNode{a, value, key}
		case p.isOp("("):
			value = p.call(value)
		default:
			return value
		}
	}
}

// subscript reads "key" or "start:stop:step".
func (p *parser) subscript() node {
	n := &sliceNode{at: p.here()}
	part, slice := 0, false
	for {
		if p.skipOp(":") {
			slice = true
			if part++; part > 2 {
				p.failf("a slice has at most three parts")
			}
			continue
		}
		if p.isOp("]") || p.isOp(",") {
			break
		}
		n.bounds[part] = p.expression()
		if !p.isOp(":") {
			break
		}
	}
	if slice {
		return n
	}
	if n.bounds[0] == nil {
		p.failf("expected a key between the brackets")
	}
	return n.bounds[0]
}

// call reads an argument list.
func (p *parser) call(callee node) *callNode {
	c := &callNode{at: p.here(), callee: callee}
	p.wantOp("(")
	p.items(")", func() {
		t, after := p.cur(), p.tokens[p.pos+1]
		switch {
		case p.skipOp("*"):
			c.spread = p.expression()
		case p.skipOp("**"):
			c.mapped = p.expression()
		case t.kind == tokenName && after.kind == tokenOp && after.text == "=":
			if slices.Contains(c.names, t.text) {
				p.failf("the argument '%s' is given twice", t.text)
			}
			p.pos += 2
			c.names = append(c.names, t.text)
			c.named = append(c.named, p.expression())
		default:
			if c.names != nil {
				p.failf("a positional argument follows a named one")
			}
			c.args = append(c.args, p.expression())
		}
	})
	return c
}

func (p *parser) dotted() string {
	name := p.identifier()
	for p.skipOp(".") {
		name += "." + p.identifier()
	}
	return name
}

// filterName reads one filter with its arguments.
func (p *parser) filterName() *filterNode {
	a := p.here()
	f := &filterNode{at: a, name: p.dotted(), args: &callNode{at: a}}
	var ok bool
	if f.name == "random" {
		failAt(int(a), "the filter 'random' is refused: the same conversation must always give the same text")
	}
	if f.filter, ok = filters[f.name]; !ok {
		failAt(int(a), "unknown filter '"+f.name+"'")
	}
	if p.isOp("(") {
		f.args = p.call(nil)
	}
	return f
}

func (p *parser) filters() (fs []*filterNode) {
	for p.skipOp("|") {
		p.chained(len(fs))
		fs = append(fs, p.filterName())
	}
	return fs
}

func (p *parser) filtersAndTests(value node) node {
	for n := 0; ; n++ {
		p.chained(n)
		switch {
		case p.isOp("|"):
			for _, f := range p.filters() {
				f.value = value
				value = f
			}
		case p.skipName("is"):
			value = p.test(value)
		case p.isOp("("):
			value = p.call(value)
		default:
			return value
		}
	}
}

func (p *parser) test(value node) node {
	t := &testNode{at: p.here(), value: value, negate: p.skipName("not")}
	a := p.here()
	t.name, t.args = p.dotted(), &callNode{at: a}
	var ok bool
	if t.test, ok = tests[t.name]; !ok {
		failAt(int(a), "unknown test '"+t.name+"'")
	}
	if p.isName("is") {
		p.failf("tests cannot follow one another; use 'and'")
	}
	c := p.cur()
	switch {
	case p.isOp("("):
		t.args = p.call(nil)
	case c.kind == tokenName && !slices.Contains([]string{"else", "or", "and", "if", "is", "in", "not", "recursive"}, c.text),
		c.kind == tokenString, c.kind == tokenNumber, p.isOp("["), p.isOp("{"):
		t.args.args = []node{p.postfix(p.primary())}
	}
	return t
}
