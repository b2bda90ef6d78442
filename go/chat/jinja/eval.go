package jinja

import "strings"

type scope struct {
	vars map[string]any
	up   *scope
}

func (s *scope) lookup(n string) (any, bool) {
	for ; s != nil; s = s.up {
		if v, ok := s.vars[n]; ok {
			return v, true
		}
	}
	return nil, false
}
func (s *scope) child() *scope { return &scope{map[string]any{}, s} }

type limits struct{ steps, bytes, depth int }

type span struct{ a, b int } // in bytes of the output

type state struct {
	sc    *scope
	out   *strings.Builder
	chars int // bytes already in the outermost buffer
	nest  int // >0 inside a captured buffer
	spans []span
	lim   limits
	now   func(string) string
	mark  bool // spans are asked for
}
type macro struct {
	n  *nMacro
	sc *scope
}
type loopV struct {
	i       int
	items   []any
	depth   int
	last    any
	hasLast bool
	rec     func(any) any
}
type ctl int

const (
	ctlNone ctl = iota
	ctlBreak
	ctlContinue
)

func (st *state) step() {
	if st.lim.steps--; st.lim.steps < 0 {
		fail("limit: template runs too long")
	}
}
func (st *state) grow(n int) {
	if st.lim.bytes -= n; st.lim.bytes < 0 {
		fail("limit: template uses too much memory")
	}
}
func (st *state) growMul(n int, k int64) {
	if n > 0 && k > int64(st.lim.bytes/n) {
		fail("limit: template uses too much memory")
	}
	st.grow(n * int(k))
}
func (st *state) enter() {
	if st.lim.depth--; st.lim.depth < 0 {
		fail("RecursionError: template recurses too deeply")
	}
}
func (st *state) leave() { st.lim.depth++ }

func (st *state) emit(s string) {
	st.grow(len(s))
	st.out.WriteString(s)
	if st.nest == 0 {
		st.chars += len(s)
	}
}
func (st *state) capture(f func()) string {
	old := st.out
	st.out = &strings.Builder{}
	st.nest++
	f()
	s := st.out.String()
	st.out = old
	st.nest--
	return s
}

func (st *state) run(ns []node) ctl {
	for _, n := range ns {
		st.step()
		switch n := n.(type) {
		case *nData:
			st.emit(n.s)
		case *nOut:
			st.emit(str(st.measured(st.eval(n.e))))
		case *nIf:
			b := n.els
			if truth(st.eval(n.test)) {
				b = n.body
			}
			if c := st.run(b); c != ctlNone {
				return c
			}
		case *nFor:
			st.forLoop(n, st.eval(n.iter), 0)
		case *nSet:
			st.assign(n.target, st.eval(n.e))
		case *nSetBlock:
			var v any = st.scoped(func() { st.run(n.body) })
			for _, f := range n.filters {
				v = st.filter(f, v)
			}
			st.assign(n.target, v)
		case *nMacro:
			st.sc.vars[n.name] = &macro{n, st.sc}
		case *nCall:
			st.emit(str(st.call(n.call, &macro{n.macro, st.sc})))
		case *nFilterB:
			var v any = st.scoped(func() { st.run(n.body) })
			for _, f := range n.filters {
				v = st.filter(f, v)
			}
			st.emit(str(v))
		case *nWith:
			vals := make([]any, len(n.vals))
			for i, e := range n.vals {
				vals[i] = st.eval(e)
			}
			old := st.sc
			st.sc = old.child()
			for i, t := range n.targets {
				st.assign(t, vals[i])
			}
			c := st.run(n.body)
			if st.sc = old; c != ctlNone {
				return c
			}
		case *nGen:
			if st.nest > 0 && st.mark {
				fail("{%% generation %%} stands in a macro, set, filter or call block, where what it writes has no position in the text")
			}
			a := st.chars
			old := st.sc
			st.sc = old.child()
			st.run(n.body)
			st.sc = old
			if st.nest == 0 {
				st.spans = append(st.spans, span{a, st.chars})
			}
		case *nBreak:
			return ctlBreak
		case *nContinue:
			return ctlContinue
		}
	}
	return ctlNone
}
func (st *state) scoped(f func()) string {
	old := st.sc
	st.sc = old.child()
	s := st.capture(f)
	st.sc = old
	return s
}

func (st *state) assign(t node, v any) {
	switch t := t.(type) {
	case *nName:
		st.sc.vars[t.s] = v
	case *nAttr:
		o, _ := st.sc.lookup(t.e.(*nName).s)
		ns, ok := o.(*namespace)
		if !ok {
			fail("TemplateRuntimeError: cannot assign attribute on non-namespace object")
		}
		ns.m[t.name] = v
	case *nTuple:
		l := iter(v)
		if len(l) != len(t.items) {
			fail("ValueError: cannot unpack %d values into %d targets", len(l), len(t.items))
		}
		for i, x := range t.items {
			st.assign(x, l[i])
		}
	}
}

func (st *state) forLoop(n *nFor, itv any, depth int) {
	st.enter()
	defer st.leave()
	items := iter(itv)
	outer := st.sc
	defer func() { st.sc = outer }()
	if n.filter != nil {
		var keep []any
		for _, x := range items {
			st.step()
			st.sc = outer.child()
			st.assign(n.target, x)
			if truth(st.eval(n.filter)) {
				keep = append(keep, x)
			}
		}
		items = keep
	}
	if len(items) == 0 {
		st.sc = outer.child()
		st.run(n.els)
		return
	}
	lp := &loopV{items: items, depth: depth}
	if n.recursive {
		lp.rec = func(v any) any {
			return st.capture(func() {
				old := st.sc
				st.sc = outer
				st.forLoop(n, v, depth+1)
				st.sc = old
			})
		}
	}
	for i, x := range items {
		st.step()
		lp.i = i
		st.sc = outer.child()
		st.sc.vars["loop"] = lp
		st.assign(n.target, x)
		if st.run(n.body) == ctlBreak {
			return
		}
	}
}

func (st *state) eval(n node) any {
	st.step()
	switch n := n.(type) {
	case *nConst:
		return n.v
	case *nName:
		if v, ok := st.sc.lookup(n.s); ok {
			return v
		}
		if g, ok := globals[n.s]; ok {
			return g
		}
		return undef{"'" + n.s + "' is undefined"}
	case *nTuple:
		t := make(tuple, len(n.items))
		for i, x := range n.items {
			t[i] = st.eval(x)
		}
		return t
	case *nList:
		l := make([]any, len(n.items))
		for i, x := range n.items {
			l[i] = st.eval(x)
		}
		return &list{l}
	case *nDict:
		d := newDict()
		for i := range n.k {
			d.set(st.eval(n.k[i]), st.eval(n.v[i]))
		}
		return d
	case *nUn:
		v := st.eval(n.e)
		if n.op == "not" {
			return !truth(v)
		}
		if n.op == "-" {
			return st.binop("*", v, int64(-1))
		}
		return v
	case *nBin:
		a := st.eval(n.a)
		switch n.op {
		case "and":
			if !truth(a) {
				return a
			}
			return st.eval(n.b)
		case "or":
			if truth(a) {
				return a
			}
			return st.eval(n.b)
		}
		return st.binop(n.op, a, st.eval(n.b))
	case *nCmp:
		a := st.eval(n.e)
		for i, op := range n.ops {
			b := st.eval(n.rs[i])
			if st.measure(a, 0); !cmpOp(op, a, st.measured(b)) {
				return false
			}
			a = b
		}
		return true
	case *nCat:
		var b strings.Builder
		mk := false
		vals := make([]any, len(n.items))
		for i, x := range n.items {
			vals[i] = st.measured(st.eval(x))
		}
		for _, v := range vals {
			_, ok := v.(markup)
			mk = mk || ok
			s := str(v)
			st.grow(len(s))
			b.WriteString(s)
		}
		return b.String()
	case *nCond:
		if truth(st.eval(n.test)) {
			return st.eval(n.a)
		}
		if n.b == nil {
			return undef{"the inline if-expression evaluated to false and no else section was defined."}
		}
		return st.eval(n.b)
	case *nAttr:
		return st.attr(st.eval(n.e), n.name)
	case *nItem:
		o := st.eval(n.e)
		if s, ok := n.k.(*nSlice); ok {
			var a [3]any
			for i, x := range []node{s.a, s.b, s.c} {
				if x != nil {
					a[i] = st.eval(x)
				}
			}
			if u, ok := o.(undef); ok {
				fail("UndefinedError: %s", u.hint)
			}
			return slice(o, a[0], a[1], a[2])
		}
		return st.item(o, st.eval(n.k))
	case *nCallE:
		return st.call(n, nil)
	case *nFilter:
		return st.filter(n, st.eval(n.e))
	case *nTest:
		v := st.eval(n.e)
		a, k := st.args(n.c)
		return testTab[n.name](st, v, a, k) != n.neg
	}
	fail("internal: node %T", n)
	return nil
}

func cmpOp(op string, a, b any) bool {
	switch op {
	case "==":
		return equal(a, b)
	case "!=":
		return !equal(a, b)
	case "in":
		return contains(b, a)
	case "notin":
		return !contains(b, a)
	}
	for _, v := range []any{a, b} {
		if u, ok := v.(undef); ok {
			fail("UndefinedError: %s", u.hint)
		}
	}
	c := compare(a, b, op)
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

func (st *state) item(o, k any) any {
	if u, ok := o.(undef); ok {
		fail("UndefinedError: %s", u.hint)
	}
	if d, ok := o.(*dict); ok {
		if v, ok := d.get(k); ok {
			return v
		}
	} else if i, ok := asInt(k); ok {
		if s, ok := asStr(o); ok {
			r := []rune(s)
			if i < 0 {
				i += int64(len(r))
			}
			if i >= 0 && i < int64(len(r)) {
				return string(r[i])
			}
		}
		if l, ok := seqOf(o); ok {
			if i < 0 {
				i += int64(len(l))
			}
			if i >= 0 && i < int64(len(l)) {
				return l[i]
			}
		}
	}
	if s, ok := asStr(k); ok {
		if v := st.member(o, s); v != nil {
			return *v
		}
	}
	return undef{"'" + typeName(o) + " object' has no element " + repr(k)}
}
func (st *state) attr(o any, name string) any {
	if u, ok := o.(undef); ok {
		fail("UndefinedError: %s", u.hint)
	}
	if v := st.member(o, name); v != nil {
		return *v
	}
	if d, ok := o.(*dict); ok {
		if v, ok := d.str(name); ok {
			return v
		}
	}
	return undef{"'" + typeName(o) + " object' has no attribute '" + name + "'"}
}

// member finds Python attributes and methods
func (st *state) member(o any, name string) *any {
	ret := func(v any) *any { return &v }
	switch x := o.(type) {
	case *namespace:
		if v, ok := x.m[name]; ok {
			return &v
		}
		return nil
	case *loopV:
		if v, ok := x.get(name); ok {
			return &v
		}
		return nil
	case *macro:
		if name == "name" {
			return ret(x.n.name)
		}
		return nil
	}
	if m := methods(o, name); m != nil {
		return ret(fn{name, m})
	}
	return nil
}
func (l *loopV) get(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.i + 1), true
	case "index0":
		return int64(l.i), true
	case "revindex":
		return int64(n - l.i), true
	case "revindex0":
		return int64(n - l.i - 1), true
	case "first":
		return l.i == 0, true
	case "last":
		return l.i == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.i > 0 {
			return l.items[l.i-1], true
		}
		return undef{"there is no previous item"}, true
	case "nextitem":
		if l.i+1 < n {
			return l.items[l.i+1], true
		}
		return undef{"there is no next item"}, true
	case "cycle":
		return fn{"cycle", func(st *state, a []any, _ *dict) any {
			if len(a) == 0 {
				fail("TypeError: no items for cycling given")
			}
			return a[l.i%len(a)]
		}}, true
	case "changed":
		return fn{"changed", func(st *state, a []any, _ *dict) any {
			if l.hasLast && equal(l.last, tuple(a)) {
				return false
			}
			l.last, l.hasLast = tuple(a), true
			return true
		}}, true
	}
	return nil, false
}

func (st *state) args(c *nCallE) ([]any, *dict) {
	if c.args == nil && c.kn == nil && c.star == nil && c.dstar == nil {
		return nil, nil
	}
	var a []any
	for _, e := range c.args {
		a = append(a, st.eval(e))
	}
	if c.star != nil {
		a = append(a, iter(st.eval(c.star))...)
	}
	var k *dict
	if c.kn != nil || c.dstar != nil {
		k = newDict()
		for i, n := range c.kn {
			k.set(n, st.eval(c.kv[i]))
		}
		if c.dstar != nil {
			d, ok := st.eval(c.dstar).(*dict)
			if !ok {
				fail("TypeError: argument after ** must be a mapping")
			}
			for _, x := range d.keys {
				k.set(x, d.m[hashable(x)])
			}
		}
	}
	return a, k
}
func (st *state) filter(f *nFilter, v any) any {
	switch f.name {
	case "string", "join", "unique", "replace", "trim", "upper", "lower", "escape", "e", "indent", "safe", "title", "sort", "min", "max", "groupby":
		st.measure(v, 0)
	}
	a, k := st.args(f.c)
	return filterTab[f.name](st, v, a, k)
}
func (st *state) call(c *nCallE, caller *macro) any {
	f := st.eval(c.f)
	a, k := st.args(c)
	return st.invoke(f, a, k, caller)
}
func (st *state) invoke(f any, a []any, k *dict, caller *macro) any {
	st.enter()
	defer st.leave()
	switch f := f.(type) {
	case fn:
		return f.f(st, a, k)
	case *macro:
		return st.macroCall(f, a, k, caller)
	case *loopV:
		if f.rec == nil || len(a) != 1 {
			fail("TypeError: the loop must have the 'recursive' marker to be called recursively")
		}
		return f.rec(a[0])
	case undef:
		fail("UndefinedError: %s", f.hint)
	}
	fail("TypeError: '%s' object is not callable", typeName(f))
	return nil
}
func (st *state) macroCall(m *macro, a []any, k *dict, caller *macro) any {
	sc := m.sc.child()
	used := 0
	old := st.sc
	st.sc = sc
	for i, p := range m.n.params {
		if i < len(a) {
			sc.vars[p] = a[i]
			continue
		}
		if v, ok := k.str(p); ok {
			sc.vars[p] = v
			used++
			continue
		}
		if j := i - (len(m.n.params) - len(m.n.defaults)); j >= 0 {
			sc.vars[p] = st.eval(m.n.defaults[j])
		} else {
			sc.vars[p] = undef{"parameter '" + p + "' was not provided"}
		}
	}
	if caller != nil {
		if !m.n.caller {
			fail("TypeError: macro '%s' was invoked with two values for the special caller argument", m.n.name)
		}
		sc.vars["caller"] = caller
	} else if m.n.caller {
		sc.vars["caller"] = undef{"No caller defined"}
	}
	if m.n.varargs {
		sc.vars["varargs"] = tuple(a[min(len(a), len(m.n.params)):])
	} else if len(a) > len(m.n.params) {
		fail("TypeError: macro '%s' takes not more than %d argument(s)", m.n.name, len(m.n.params))
	}
	if m.n.kwargs {
		d := newDict()
		if k != nil {
			for _, x := range k.keys {
				if _, ok := sc.vars[x.(string)]; !ok {
					d.set(x, k.m[x])
				}
			}
		}
		sc.vars["kwargs"] = d
	} else if k != nil && used < len(k.keys) {
		fail("TypeError: macro '%s' takes no such keyword argument", m.n.name)
	}
	s := st.capture(func() { st.run(m.n.body) })
	st.sc = old
	return s
}

// measure pays for walking through a value, before it is printed or compared:
// a value that holds itself twice, many times over, is small but never ends.
func (st *state) measure(v any, depth int) {
	if depth > maxRepr {
		fail("RecursionError: value is nested too deeply")
	}
	if s, ok := asStr(v); ok {
		st.lim.steps -= len(s) / 1024
		return
	}
	items, ok := seqOf(v)
	if d, isDict := v.(*dict); isDict {
		items, ok = dictItems(d).v, true
	}
	if ok {
		for _, x := range items {
			st.step()
			st.measure(x, depth+1)
		}
	}
}

func (st *state) measured(v any) any {
	st.measure(v, 0)
	return v
}
