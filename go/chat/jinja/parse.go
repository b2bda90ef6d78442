package jinja

import (
	"fmt"
	"strings"
)

type node interface{}
type (
	nData struct{ s string }
	nOut  struct{ e node }
	nIf   struct {
		test      node
		body, els []node
	}
	nFor struct {
		target, iter, filter node
		body, els            []node
		recursive            bool
	}
	nSet      struct{ target, e node }
	nSetBlock struct {
		target  node
		filters []*nFilter
		body    []node
	}
	nMacro struct {
		name                    string
		params                  []string
		defaults                []node
		body                    []node
		caller, varargs, kwargs bool
	}
	nCall struct {
		call  *nCallE
		macro *nMacro
	}
	nFilterB struct {
		filters []*nFilter
		body    []node
	}
	nWith struct {
		targets, vals []node
		body          []node
	}
	nGen      struct{ body []node }
	nBreak    struct{}
	nContinue struct{}

	nConst struct{ v any }
	nName  struct{ s string }
	nTuple struct{ items []node }
	nList  struct{ items []node }
	nDict  struct{ k, v []node }
	nUn    struct {
		op string
		e  node
	}
	nBin struct {
		op   string
		a, b node
	}
	nCmp struct {
		e   node
		ops []string
		rs  []node
	}
	nCat  struct{ items []node }
	nCond struct{ test, a, b node }
	nAttr struct {
		e    node
		name string
	}
	nItem  struct{ e, k node }
	nSlice struct{ a, b, c node }
	nCallE struct {
		f           node
		args        []node
		kn          []string
		kv          []node
		star, dstar node
	}
	nFilter struct {
		e    node
		name string
		c    *nCallE
	}
	nTest struct {
		e    node
		name string
		c    *nCallE
		neg  bool
	}
)

const maxDepth = 100

type parser struct {
	t     []token
	p     int
	depth int
}
type synErr struct{ s string }

func (p *parser) fail(f string, a ...any) {
	panic(synErr{fmt.Sprintf("line %d: ", p.t[p.p].line) + fmt.Sprintf(f, a...)})
}
func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail("template is nested too deeply")
	}
}
func (p *parser) cur() token { return p.t[p.p] }
func (p *parser) next() token {
	t := p.t[p.p]
	if t.k != tEOF {
		p.p++
	}
	return t
}
func (p *parser) op(s string) bool   { return p.cur().k == tOp && p.cur().s == s }
func (p *parser) name(s string) bool { return p.cur().k == tName && p.cur().s == s }
func (p *parser) skipOp(s string) bool {
	if p.op(s) {
		p.p++
		return true
	}
	return false
}
func (p *parser) skipName(s string) bool {
	if p.name(s) {
		p.p++
		return true
	}
	return false
}
func (p *parser) wantOp(s string) {
	if !p.skipOp(s) {
		p.fail("expected %q, got %q", s, p.cur().s)
	}
}
func (p *parser) ident() string {
	if p.cur().k != tName {
		p.fail("expected a name, got %q", p.cur().s)
	}
	return p.next().s
}
func (p *parser) endBlock() {
	if p.cur().k != tBlkE {
		p.fail("expected end of statement, got %q", p.cur().s)
	}
	p.p++
}

func parse(src string) (body []node, err error) {
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			if s, ok := r.(synErr); ok {
				err = fmt.Errorf("template syntax: %s", s.s)
				return
			}
			panic(r)
		}
	}()
	p := &parser{t: toks}
	body, _ = p.body()
	if p.cur().k != tEOF {
		p.fail("unexpected tag %q", p.cur().s)
	}
	return
}

// body reads until one of the end names; leaves the end name consumed.
func (p *parser) body(ends ...string) ([]node, string) {
	p.enter()
	defer func() { p.depth-- }()
	var out []node
	for {
		switch t := p.next(); t.k {
		case tEOF:
			if len(ends) > 0 {
				p.fail("missing {%% %s %%}", ends[len(ends)-1])
			}
			return out, ""
		case tData:
			out = append(out, &nData{t.s})
		case tVarB:
			e := p.tuple(true, true)
			if p.cur().k != tVarE {
				p.fail("expected '}}', got %q", p.cur().s)
			}
			p.p++
			out = append(out, &nOut{e})
		case tBlkB:
			for _, e := range ends {
				if p.name(e) {
					p.p++
					return out, e
				}
			}
			out = append(out, p.stmt())
		default:
			p.fail("unexpected token")
		}
	}
}

func (p *parser) stmt() node {
	switch kw := p.ident(); kw {
	case "if":
		return p.ifStmt()
	case "for":
		n := &nFor{target: p.target(false)}
		if !p.skipName("in") {
			p.fail("expected 'in'")
		}
		n.iter = p.tuple(false, true)
		if p.skipName("if") {
			n.filter = p.expr()
		}
		n.recursive = p.skipName("recursive")
		p.endBlock()
		var e string
		if n.body, e = p.body("else", "endfor"); e == "else" {
			p.endBlock()
			n.els, _ = p.body("endfor")
		}
		p.endBlock()
		return n
	case "set":
		t := p.target(true)
		if p.skipOp("=") {
			e := p.tuple(true, true)
			p.endBlock()
			return &nSet{t, e}
		}
		f := p.filters()
		p.endBlock()
		b, _ := p.body("endset")
		p.endBlock()
		return &nSetBlock{t, f, b}
	case "macro":
		n := &nMacro{name: p.ident()}
		p.signature(n)
		p.endBlock()
		n.body, _ = p.body("endmacro")
		p.skipName(n.name)
		p.endBlock()
		n.scan(n.body)
		return n
	case "call":
		m := &nMacro{name: "caller"}
		if p.op("(") {
			p.signature(m)
		}
		c, ok := p.expr().(*nCallE)
		if !ok {
			p.fail("expected a call")
		}
		p.endBlock()
		m.body, _ = p.body("endcall")
		p.endBlock()
		return &nCall{c, m}
	case "filter":
		p.p-- // reuse filters(): pretend a pipe
		p.t[p.p] = token{k: tOp, s: "|", line: p.cur().line}
		f := p.filters()
		p.endBlock()
		b, _ := p.body("endfilter")
		p.endBlock()
		return &nFilterB{f, b}
	case "with":
		n := &nWith{}
		for p.cur().k != tBlkE {
			if len(n.targets) > 0 {
				p.wantOp(",")
			}
			n.targets = append(n.targets, p.target(false))
			p.wantOp("=")
			n.vals = append(n.vals, p.expr())
		}
		p.endBlock()
		n.body, _ = p.body("endwith")
		p.endBlock()
		return n
	case "generation":
		p.endBlock()
		b, _ := p.body("endgeneration")
		p.endBlock()
		return &nGen{b}
	case "break":
		p.endBlock()
		return &nBreak{}
	case "continue":
		p.endBlock()
		return &nContinue{}
	default:
		p.fail("unknown tag %q", kw)
		return nil
	}
}

func (p *parser) ifStmt() node {
	root := &nIf{}
	n := root
	for {
		n.test = p.tuple(true, false)
		p.endBlock()
		var e string
		n.body, e = p.body("elif", "else", "endif")
		if e == "elif" {
			m := &nIf{}
			n.els = []node{m}
			n = m
			continue
		}
		if e == "else" {
			p.endBlock()
			n.els, _ = p.body("endif")
		}
		p.endBlock()
		return root
	}
}

func (p *parser) signature(n *nMacro) {
	p.wantOp("(")
	for !p.op(")") {
		if len(n.params) > 0 {
			p.wantOp(",")
		}
		n.params = append(n.params, p.ident())
		if p.skipOp("=") {
			n.defaults = append(n.defaults, p.expr())
		} else if len(n.defaults) > 0 {
			p.fail("non-default argument follows default argument")
		}
	}
	p.wantOp(")")
}

// scan notes whether caller, varargs or kwargs are used
func (n *nMacro) scan(b []node) {
	s := fmt.Sprintf("%#v", flat(b))
	n.caller, n.varargs, n.kwargs = strings.Contains(s, `"caller"`), strings.Contains(s, `"varargs"`), strings.Contains(s, `"kwargs"`)
}

func (p *parser) target(ns bool) node {
	one := func() node {
		if p.skipOp("(") {
			t := p.target(false)
			p.wantOp(")")
			return t
		}
		id := p.ident()
		if ns && p.skipOp(".") {
			return &nAttr{&nName{id}, p.ident()}
		}
		return &nName{id}
	}
	t := one()
	if !p.op(",") {
		return t
	}
	items := []node{t}
	for p.skipOp(",") {
		if p.name("in") || p.op("=") || p.op(")") {
			break
		}
		items = append(items, one())
	}
	return &nTuple{items}
}

// tuple reads "a, b"; cond says whether "x if y" is allowed at top level
func (p *parser) tuple(cond, allow bool) node {
	get := p.expr
	if !cond {
		get = p.or
	}
	e := get()
	if !p.op(",") || !allow {
		return e
	}
	items := []node{e}
	for p.skipOp(",") {
		if k := p.cur().k; k == tVarE || k == tBlkE || p.op(")") || p.op("]") {
			break
		}
		items = append(items, get())
	}
	return &nTuple{items}
}

func (p *parser) expr() node {
	p.enter()
	defer func() { p.depth-- }()
	e := p.or()
	for n := 0; p.skipName("if"); n++ {
		if n > maxDepth {
			p.fail("expression too long")
		}
		t := p.or()
		var b node
		if p.skipName("else") {
			b = p.expr()
		}
		e = &nCond{t, e, b}
	}
	return e
}

// chain builds left-associated binary nodes; long chains are cut by the depth limit
func (p *parser) chain(sub func() node, ops ...string) node {
	e := sub()
	for n := 0; ; n++ {
		o := ""
		for _, s := range ops {
			if p.op(s) || p.name(s) && (s == "or" || s == "and") {
				o = s
			}
		}
		if o == "" {
			return e
		}
		if n > 500 {
			p.fail("expression too long")
		}
		p.p++
		e = &nBin{o, e, sub()}
	}
}
func (p *parser) or() node  { return p.chain(p.and, "or") }
func (p *parser) and() node { return p.chain(p.not, "and") }
func (p *parser) not() node {
	if p.skipName("not") {
		p.enter()
		defer func() { p.depth-- }()
		return &nUn{"not", p.not()}
	}
	return p.compare()
}
func (p *parser) compare() node {
	c := &nCmp{e: p.math1()}
	for {
		o := ""
		switch {
		case p.cur().k == tOp && strings.Contains(" == != < <= > >= ", " "+p.cur().s+" "):
			o = p.next().s
		case p.skipName("in"):
			o = "in"
		case p.name("not") && p.t[p.p+1].k == tName && p.t[p.p+1].s == "in":
			p.p += 2
			o = "notin"
		}
		if o == "" {
			break
		}
		c.ops = append(c.ops, o)
		c.rs = append(c.rs, p.math1())
	}
	if c.ops == nil {
		return c.e
	}
	return c
}
func (p *parser) math1() node { return p.chain(p.concat, "+", "-") }
func (p *parser) concat() node {
	e := p.math2()
	if !p.op("~") {
		return e
	}
	c := &nCat{[]node{e}}
	for p.skipOp("~") {
		c.items = append(c.items, p.math2())
	}
	return c
}
func (p *parser) math2() node { return p.chain(p.pow, "*", "/", "//", "%") }
func (p *parser) pow() node   { return p.chain(func() node { return p.unary(true) }, "**") }
func (p *parser) unary(filter bool) (e node) {
	p.enter()
	defer func() { p.depth-- }()
	if p.skipOp("-") {
		e = &nUn{"-", p.unary(false)}
	} else if p.skipOp("+") {
		e = &nUn{"+", p.unary(false)}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filter {
		e = p.filterExpr(e)
	}
	return e
}

func (p *parser) primary() node {
	t := p.next()
	switch t.k {
	case tName:
		switch t.s {
		case "true", "True":
			return &nConst{true}
		case "false", "False":
			return &nConst{false}
		case "none", "None":
			return &nConst{nil}
		}
		return &nName{t.s}
	case tStr:
		s := t.s
		for p.cur().k == tStr {
			s += p.next().s
		}
		return &nConst{s}
	case tInt, tFloat:
		return &nConst{t.v}
	case tOp:
		switch t.s {
		case "(":
			if p.skipOp(")") {
				return &nTuple{}
			}
			e := p.tuple(true, true)
			p.wantOp(")")
			return e
		case "[":
			l := &nList{}
			for !p.op("]") {
				if len(l.items) > 0 {
					p.wantOp(",")
					if p.op("]") {
						break
					}
				}
				l.items = append(l.items, p.expr())
			}
			p.wantOp("]")
			return l
		case "{":
			d := &nDict{}
			for !p.op("}") {
				if len(d.k) > 0 {
					p.wantOp(",")
					if p.op("}") {
						break
					}
				}
				d.k = append(d.k, p.expr())
				p.wantOp(":")
				d.v = append(d.v, p.expr())
			}
			p.wantOp("}")
			return d
		}
	}
	p.p--
	p.fail("unexpected %q", t.s)
	return nil
}

func (p *parser) postfix(e node) node {
	for n := 0; ; n++ {
		if n > 500 {
			p.fail("expression too long")
		}
		switch {
		case p.skipOp("."):
			switch t := p.next(); t.k {
			case tName:
				e = &nAttr{e, t.s}
			case tInt:
				e = &nItem{e, &nConst{t.v}}
			default:
				p.fail("expected name or number")
			}
		case p.skipOp("["):
			k := p.subscript()
			if p.op(",") {
				l := &nTuple{[]node{k}}
				for p.skipOp(",") {
					l.items = append(l.items, p.subscript())
				}
				k = l
			}
			p.wantOp("]")
			e = &nItem{e, k}
		case p.op("("):
			e = p.call(e)
		default:
			return e
		}
	}
}
func (p *parser) subscript() node {
	var a [3]node
	i, slice := 0, false
	for {
		if p.skipOp(":") {
			slice = true
			if i++; i > 2 {
				p.fail("bad slice")
			}
			continue
		}
		if p.op("]") || p.op(",") {
			break
		}
		a[i] = p.expr()
		if !p.op(":") {
			break
		}
	}
	if slice {
		return &nSlice{a[0], a[1], a[2]}
	}
	if a[0] == nil {
		p.fail("empty subscript")
	}
	return a[0]
}
func (p *parser) call(f node) *nCallE {
	c := &nCallE{f: f}
	p.wantOp("(")
	for first := true; !p.op(")"); first = false {
		if !first {
			p.wantOp(",")
			if p.op(")") {
				break
			}
		}
		switch {
		case p.skipOp("*"):
			c.star = p.expr()
		case p.skipOp("**"):
			c.dstar = p.expr()
		case p.cur().k == tName && p.t[p.p+1].k == tOp && p.t[p.p+1].s == "=":
			c.kn = append(c.kn, p.next().s)
			p.p++
			c.kv = append(c.kv, p.expr())
		default:
			if c.kn != nil {
				p.fail("positional argument after keyword argument")
			}
			c.args = append(c.args, p.expr())
		}
	}
	p.wantOp(")")
	return c
}
func (p *parser) dotted() string {
	s := p.ident()
	for p.skipOp(".") {
		s += "." + p.ident()
	}
	return s
}
func (p *parser) filters() (fs []*nFilter) {
	for p.skipOp("|") {
		f := &nFilter{name: p.dotted(), c: &nCallE{}}
		if filterTab[f.name] == nil {
			p.fail("no filter named %q", f.name)
		}
		if p.op("(") {
			f.c = p.call(nil)
		}
		fs = append(fs, f)
	}
	return
}
func (p *parser) filterExpr(e node) node {
	for n := 0; ; n++ {
		if n > 200 {
			p.fail("expression too long")
		}
		switch {
		case p.op("|"):
			for _, f := range p.filters() {
				f.e = e
				e = f
			}
		case p.skipName("is"):
			t := &nTest{e: e, neg: p.skipName("not"), c: &nCallE{}}
			t.name = p.dotted()
			if testTab[t.name] == nil {
				p.fail("no test named %q", t.name)
			}
			c := p.cur()
			if p.op("(") {
				t.c = p.call(nil)
			} else if (c.k == tName && c.s != "else" && c.s != "or" && c.s != "and" && c.s != "if" && c.s != "is" && c.s != "in" && c.s != "not") || c.k == tStr || c.k == tInt || c.k == tFloat || p.op("[") || p.op("{") {
				t.c.args = []node{p.postfix(p.primary())}
			}
			e = t
		case p.op("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

// flat lists the names used in a body (for macro scanning)
func flat(ns []node) (out []string) {
	var walk func(any)
	list := func(l []node) {
		for _, x := range l {
			walk(x)
		}
	}
	walk = func(x any) {
		switch n := x.(type) {
		case nil:
		case *nName:
			out = append(out, n.s)
		case *nOut:
			walk(n.e)
		case *nIf:
			walk(n.test)
			list(n.body)
			list(n.els)
		case *nFor:
			list([]node{n.iter, n.filter})
			list(n.body)
			list(n.els)
		case *nSet:
			walk(n.e)
		case *nSetBlock:
			list(n.body)
		case *nCall:
			walk(n.call)
			list(n.macro.body)
		case *nFilterB:
			list(n.body)
		case *nWith:
			list(n.vals)
			list(n.body)
		case *nGen:
			list(n.body)
		case *nTuple:
			list(n.items)
		case *nList:
			list(n.items)
		case *nDict:
			list(n.k)
			list(n.v)
		case *nUn:
			walk(n.e)
		case *nBin:
			walk(n.a)
			walk(n.b)
		case *nCmp:
			walk(n.e)
			list(n.rs)
		case *nCat:
			list(n.items)
		case *nCond:
			list([]node{n.test, n.a, n.b})
		case *nAttr:
			walk(n.e)
		case *nItem:
			walk(n.e)
			walk(n.k)
		case *nSlice:
			list([]node{n.a, n.b, n.c})
		case *nCallE:
			if n == nil {
				return
			}
			walk(n.f)
			list(n.args)
			list(n.kv)
			walk(n.star)
			walk(n.dstar)
		case *nFilter:
			walk(n.e)
			walk(n.c)
		case *nTest:
			walk(n.e)
			walk(n.c)
		}
	}
	list(ns)
	return
}
