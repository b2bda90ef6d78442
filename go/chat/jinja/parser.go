package jinja

import "fmt"

const (
	maxParseDepth = 100 // brackets, blocks, signs within one another
	maxChain      = 200 // operators, filters or accesses in a row
)

// parser turns tokens into nodes.
type parser struct {
	tokens     []token
	pos        int
	depth      int
	loops      int          // loops around this place that break can leave
	generation bool         // inside a generation block
	macros     []*macroNode // macros around this place
	marks      bool         // whether any generation block was seen
}

func (p *parser) failf(format string, a ...any) {
	failAt(p.cur().at, fmt.Sprintf(format, a...))
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxParseDepth {
		p.failf("the template is nested more than %d levels deep", maxParseDepth)
	}
}

func (p *parser) leave() { p.depth-- }

func (p *parser) chained(n int) {
	if n >= maxChain {
		p.failf("the expression is a chain of more than %d parts", maxChain)
	}
}

func (p *parser) cur() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEOF {
		p.pos++
	}
	return t
}

func (p *parser) here() at { return at(p.cur().at) }

func (p *parser) isOp(op string) bool     { return p.cur().kind == tokenOp && p.cur().text == op }
func (p *parser) isName(name string) bool { return p.cur().kind == tokenName && p.cur().text == name }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.skipOp(op) {
		p.failf("expected '%s', found %s", op, p.cur().describe())
	}
}

func (p *parser) identifier() string {
	if p.cur().kind != tokenName {
		p.failf("expected a name, found %s", p.cur().describe())
	}
	return p.next().text
}

func (p *parser) blockEnd() {
	if p.cur().kind != tokenBlockEnd {
		p.failf("expected '%%}', found %s", p.cur().describe())
	}
	p.pos++
}

// template reads everything.
func (p *parser) template() []node {
	body, _ := p.body("")
	return body
}

// body reads until a tag named in ends, and consumes that name. opener is the
// tag that the body belongs to, for the error when no end comes.
func (p *parser) body(opener string, ends ...string) ([]node, string) {
	p.enter()
	defer p.leave()
	var out []node
	for {
		switch t := p.next(); t.kind {
		case tokenEOF:
			if len(ends) > 0 {
				p.failf("{%% %s %%} has no {%% %s %%}", opener, ends[len(ends)-1])
			}
			return out, ""
		case tokenText:
			out = append(out, &textNode{at(t.at), t.text})
		case tokenPrint:
			value := p.tuple(true)
			if p.cur().kind != tokenPrintEnd {
				p.failf("expected '}}', found %s", p.cur().describe())
			}
			p.pos++
			out = append(out, &printNode{at(t.at), value})
		default: // tokenBlock: the lexer closes every other tag
			for _, end := range ends {
				if p.skipName(end) {
					return out, end
				}
			}
			out = append(out, p.statement(at(t.at)))
		}
	}
}

// block reads the rest of a statement that has one body and one end.
func (p *parser) block(opener string) []node {
	p.blockEnd()
	body, _ := p.body(opener, "end"+opener)
	p.blockEnd()
	return body
}

// detached reads a body that break and continue cannot leave.
func (p *parser) detached(opener string) []node {
	loops := p.loops
	p.loops = 0
	body := p.block(opener)
	p.loops = loops
	return body
}
