package jinja

func (p *parser) statement(a at) node {
	begin := p.pos
	switch tag := p.identifier(); tag {
	case "if":
		return p.ifStatement(a)
	case "for":
		return p.forStatement(a)
	case "set":
		return p.setStatement(a)
	case "macro":
		m := &macroNode{at: a, name: p.identifier()}
		p.signature(m)
		p.macroBody(m, "macro")
		return m
	case "call":
		m := &macroNode{at: a, name: "caller"}
		if p.isOp("(") {
			p.signature(m)
		}
		call, ok := p.expression().(*callNode)
		if !ok {
			p.failf("expected a call of a macro")
		}
		p.macroBody(m, "call")
		return &callBlockNode{a, call, m}
	case "filter":
		filters := append([]*filterNode{p.filterName()}, p.filters()...)
		return &filterBlockNode{a, filters, p.detached("filter")}
	case "with":
		return p.withStatement(a)
	case "generation":
		if p.generation {
			failAt(p.tokens[begin].at, "a generation block cannot hold another one")
		}
		p.generation, p.marks = true, true
		body := p.detached("generation")
		p.generation = false
		return &generationNode{a, body}
	case "break", "continue":
		if p.loops == 0 {
			failAt(p.tokens[begin].at, "{% "+tag+" %} stands outside of a loop")
		}
		p.blockEnd()
		if tag == "break" {
			return &breakNode{a}
		}
		return &continueNode{a}
	default:
		p.pos = begin
		p.failf("unknown tag '%s'", tag)
		return nil
	}
}

func (p *parser) ifStatement(a at) node {
	n := &ifNode{at: a}
	for {
		n.tests = append(n.tests, p.conditionless())
		p.blockEnd()
		body, end := p.body("if", "elif", "else", "endif")
		n.bodies = append(n.bodies, body)
		switch end {
		case "elif":
			continue
		case "else":
			p.blockEnd()
			n.elseBody, _ = p.body("if", "endif")
		}
		p.blockEnd()
		return n
	}
}

func (p *parser) forStatement(a at) node {
	n := &forNode{at: a, target: p.target(false)}
	if !p.skipName("in") {
		p.failf("expected 'in', found %s", p.cur().describe())
	}
	n.items = p.conditionless()
	if p.skipName("if") {
		n.filter = p.expression()
	}
	n.recursive = p.skipName("recursive")
	p.blockEnd()
	var end string
	p.loops++
	n.body, end = p.body("for", "else", "endfor")
	p.loops--
	if end == "else" {
		p.blockEnd()
		n.elseBody, _ = p.body("for", "endfor")
	}
	p.blockEnd()
	return n
}

func (p *parser) setStatement(a at) node {
	target := p.target(true)
	if p.skipOp("=") {
		value := p.tuple(true)
		p.blockEnd()
		return &setNode{a, target, value}
	}
	filters := p.filters()
	return &setBlockNode{a, target, filters, p.detached("set")}
}

func (p *parser) withStatement(a at) node {
	n := &withNode{at: a}
	for p.cur().kind != tokenBlockEnd {
		if len(n.targets) > 0 {
			p.wantOp(",")
		}
		n.targets = append(n.targets, p.target(false))
		p.wantOp("=")
		n.values = append(n.values, p.expression())
	}
	n.body = p.block("with")
	return n
}

func (p *parser) macroBody(m *macroNode, tag string) {
	generation := p.generation
	p.generation = false
	p.macros = append(p.macros, m)
	loops := p.loops
	p.loops = 0
	p.blockEnd()
	m.body, _ = p.body(tag, "end"+tag)
	p.skipName(m.name) // {% endmacro name %}
	p.blockEnd()
	p.loops = loops
	p.macros = p.macros[:len(p.macros)-1]
	p.generation = generation
}

func (p *parser) signature(m *macroNode) {
	p.wantOp("(")
	for !p.isOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
		}
		m.params = append(m.params, p.identifier())
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			p.failf("a parameter without default follows one with default")
		}
	}
	p.wantOp(")")
}

// target reads what is assigned to: a name, "namespace.name" where allowed, or
// several of them.
func (p *parser) target(attribute bool) node {
	p.enter()
	defer p.leave()
	one := func() node {
		a := p.here()
		if p.skipOp("(") {
			t := p.target(false)
			p.wantOp(")")
			return t
		}
		name := p.identifier()
		if attribute && p.skipOp(".") {
			return &attrNode{a, &nameNode{a, name}, p.identifier()}
		}
		return &nameNode{a, name}
	}
	a := p.here()
	first := one()
	if !p.isOp(",") {
		return first
	}
	items := []node{first}
	for p.skipOp(",") {
		if p.isName("in") || p.isOp("=") || p.isOp(")") {
			break
		}
		items = append(items, one())
	}
	return &tupleNode{a, items}
}
