package jinja

import "slices"

// tuple reads "a" or "a, b, ...". With condition, "x if y else z" is allowed
// without brackets.
func (p *parser) tuple(condition bool) node {
	item := p.expression
	if !condition {
		item = p.or
	}
	a := p.here()
	first := item()
	if !p.isOp(",") {
		return first
	}
	items := []node{first}
	for p.skipOp(",") {
		if k := p.cur().kind; k == tokenPrintEnd || k == tokenBlockEnd || p.isOp(")") || p.isOp("]") {
			break
		}
		items = append(items, item())
	}
	return &tupleNode{a, items}
}

// conditionless reads what stands after "if" and "in", where a following "if"
// belongs to the statement.
func (p *parser) conditionless() node { return p.tuple(false) }

func (p *parser) expression() node {
	p.enter()
	defer p.leave()
	a := p.here()
	value := p.or()
	for n := 0; p.skipName("if"); n++ {
		p.chained(n)
		test := p.or()
		var no node
		if p.skipName("else") {
			no = p.expression()
		}
		value = &condNode{a, test, value, no}
	}
	return value
}

// chain reads operands joined by operators of one rank, from the left.
func (p *parser) chain(operand func() node, ops ...string) node {
	left := operand()
	for n := 0; ; n++ {
		t := p.cur()
		if t.kind != tokenOp && t.kind != tokenName || !slices.Contains(ops, t.text) {
			return left
		}
		p.chained(n)
		p.pos++
		left = &binaryNode{at(t.at), t.text, left, operand()}
	}
}

func (p *parser) or() node  { return p.chain(p.and, "or") }
func (p *parser) and() node { return p.chain(p.not, "and") }

func (p *parser) not() node {
	a := p.here()
	if !p.skipName("not") {
		return p.compare()
	}
	p.enter()
	defer p.leave()
	return &unaryNode{a, "not", p.not()}
}

func (p *parser) compare() node {
	n := &compareNode{at: p.here(), first: p.sum()}
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == tokenOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = p.next().text
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.tokens[p.pos+1].kind == tokenName && p.tokens[p.pos+1].text == "in":
			p.pos += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		n.ops = append(n.ops, op)
		n.rest = append(n.rest, p.sum())
	}
	if n.ops == nil {
		return n.first
	}
	return n
}

func (p *parser) sum() node { return p.chain(p.concat, "+", "-") }

func (p *parser) concat() node {
	a := p.here()
	first := p.product()
	if !p.isOp("~") {
		return first
	}
	n := &concatNode{a, []node{first}}
	for p.skipOp("~") {
		n.items = append(n.items, p.product())
	}
	return n
}

func (p *parser) product() node { return p.chain(p.power, "*", "/", "//", "%") }

func (p *parser) power() node { return p.chain(func() node { return p.unary(true) }, "**") }

func (p *parser) unary(filtered bool) (value node) {
	p.enter()
	defer p.leave()
	if t := p.cur(); p.skipOp("-") || p.skipOp("+") {
		value = &unaryNode{at(t.at), t.text, p.unary(false)}
	} else {
		value = p.primary()
	}
	value = p.postfix(value)
	if filtered {
		value = p.filtersAndTests(value)
	}
	return value
}

func (p *parser) primary() node {
	t := p.next()
	a := at(t.at)
	switch t.kind {
	case tokenName:
		return p.nameOrConstant(t)
	case tokenString:
		text := t.text
		for p.cur().kind == tokenString {
			text += p.next().text
		}
		return &constNode{a, text}
	case tokenNumber:
		return &constNode{a, t.value}
	case tokenOp:
		switch t.text {
		case "(":
			if p.skipOp(")") {
				return &tupleNode{at: a}
			}
			value := p.tuple(true)
			p.wantOp(")")
			return value
		case "[":
			n := &listNode{at: a}
			p.items("]", func() { n.items = append(n.items, p.expression()) })
			return n
		case "{":
			n := &dictNode{at: a}
			p.items("}", func() {
				n.keys = append(n.keys, p.expression())
				p.wantOp(":")
				n.values = append(n.values, p.expression())
			})
			return n
		}
	}
	if t.kind != tokenEOF {
		p.pos--
	}
	p.failf("expected an expression, found %s", t.describe())
	return nil
}

func (p *parser) nameOrConstant(t token) node {
	switch a := at(t.at); t.text {
	case "true", "True":
		return &constNode{a, true}
	case "false", "False":
		return &constNode{a, false}
	case "none", "None":
		return &constNode{a, nil}
	default:
		for _, m := range p.macros {
			m.caller = m.caller || t.text == "caller"
			m.varargs = m.varargs || t.text == "varargs"
			m.kwargs = m.kwargs || t.text == "kwargs"
		}
		return &nameNode{a, t.text}
	}
}

// items reads a list up to its closing bracket; a last comma is allowed.
func (p *parser) items(closing string, item func()) {
	for first := true; !p.isOp(closing); first = false {
		if !first {
			p.wantOp(",")
			if p.isOp(closing) {
				break
			}
		}
		item()
	}
	p.wantOp(closing)
}
