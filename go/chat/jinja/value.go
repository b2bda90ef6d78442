package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are Go any: nil (None), undef, bool, int64, *big.Int, float64, string,
// markup, *list, tuple, *dict, *namespace, gen, rangeV, *macro, fn, *loopV.
type (
	undef  struct{ hint string }
	markup string
	list   struct{ v []any }
	tuple  []any
	gen    []any
	rangeV struct {
		v       []any
		a, b, s int64
	}
	dict struct {
		keys []any
		m    map[any]any
	}
	namespace struct{ m map[string]any }
	fn        struct {
		name string
		f    func(st *state, a []any, k *dict) any
	}
)

type runErr struct{ s string }

func fail(f string, a ...any) { panic(runErr{fmt.Sprintf(f, a...)}) }

func newDict() *dict { return &dict{m: map[any]any{}} }
func hashable(k any) any {
	switch x := k.(type) {
	case bool:
		if x {
			return int64(1)
		}
		return int64(0)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1e15 {
			return int64(x)
		}
		return x
	case markup:
		return string(x)
	case nil, int64, string:
		return k
	case tuple:
		return repr(x)
	}
	fail("TypeError: unhashable type %s", typeName(k))
	return nil
}
func (d *dict) set(k, v any) {
	h := hashable(k)
	if _, ok := d.m[h]; !ok {
		d.keys = append(d.keys, k)
	}
	d.m[h] = v
}
func (d *dict) get(k any) (any, bool) {
	if d == nil {
		return nil, false
	}
	v, ok := d.m[hashable(k)]
	return v, ok
}
func (d *dict) str(k string) (any, bool) {
	if d == nil {
		return nil, false
	}
	v, ok := d.m[k]
	return v, ok
}

func norm(z *big.Int) any {
	if z.IsInt64() {
		return z.Int64()
	}
	return z
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "NoneType"
	case undef:
		return "Undefined"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *list:
		return "list"
	case tuple:
		return "tuple"
	case *dict:
		return "dict"
	case gen:
		return "generator"
	case rangeV:
		return "range"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	}
	return "object"
}

func truth(v any) bool {
	switch x := v.(type) {
	case nil, undef:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case markup:
		return x != ""
	case *list:
		return len(x.v) > 0
	case tuple:
		return len(x) > 0
	case rangeV:
		return len(x.v) > 0
	case *dict:
		return len(x.keys) > 0
	}
	return true
}

func asStr(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case markup:
		return string(x), true
	}
	return "", false
}
func asInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
func seqOf(v any) ([]any, bool) {
	switch x := v.(type) {
	case *list:
		return x.v, true
	case tuple:
		return x, true
	case rangeV:
		return x.v, true
	}
	return nil, false
}

// iter lists the items of an iterable; it fails as Python does
func iter(v any) []any {
	if s, ok := seqOf(v); ok {
		return s
	}
	switch x := v.(type) {
	case gen:
		return x
	case *dict:
		return x.keys
	case undef:
		return nil
	case string:
		out := make([]any, 0, len(x))
		for _, r := range x {
			out = append(out, string(r))
		}
		return out
	case markup:
		return iter(string(x))
	}
	fail("TypeError: '%s' object is not iterable", typeName(v))
	return nil
}
func length(v any) int64 {
	if s, ok := asStr(v); ok {
		return int64(utf8.RuneCountInString(s))
	}
	switch v.(type) {
	case *list, tuple, rangeV, *dict, undef:
		return int64(len(iter(v)))
	}
	fail("TypeError: object of type '%s' has no len()", typeName(v))
	return 0
}

func fmtFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

const maxRepr = 64

func str(v any) string  { return toStr(v, 0) }
func repr(v any) string { return toRepr(v, 0) }
func toStr(v any, d int) string {
	switch x := v.(type) {
	case string:
		return x
	case markup:
		return string(x)
	case undef:
		return ""
	}
	return toRepr(v, d)
}
func toRepr(v any, d int) string {
	if d > maxRepr {
		fail("RecursionError: value is nested too deeply")
	}
	join := func(l []any) string {
		p := make([]string, len(l))
		for i, x := range l {
			p[i] = toRepr(x, d+1)
		}
		return strings.Join(p, ", ")
	}
	switch x := v.(type) {
	case nil:
		return "None"
	case undef:
		return "Undefined"
	case bool:
		if x {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(x, 10)
	case *big.Int:
		return x.String()
	case float64:
		return fmtFloat(x)
	case string:
		return quote(x)
	case markup:
		return "Markup(" + quote(string(x)) + ")"
	case *list:
		return "[" + join(x.v) + "]"
	case tuple:
		if len(x) == 1 {
			return "(" + join(x) + ",)"
		}
		return "(" + join(x) + ")"
	case rangeV:
		if x.s != 1 {
			return fmt.Sprintf("range(%d, %d, %d)", x.a, x.b, x.s)
		}
		return fmt.Sprintf("range(%d, %d)", x.a, x.b)
	case *dict:
		p := make([]string, len(x.keys))
		for i, k := range x.keys {
			w, _ := x.get(k)
			p[i] = toRepr(k, d+1) + ": " + toRepr(w, d+1)
		}
		return "{" + strings.Join(p, ", ") + "}"
	case *macro:
		return "<Macro " + quote(x.n.name) + ">"
	}
	return "<" + typeName(v) + ">"
}
func quote(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, "\"") {
		q = '"'
	}
	var b strings.Builder
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f, r > 0x7f && r <= 0xff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xff && r <= 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteRune(q)
	return b.String()
}

func toFloat(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		return f, true
	}
	if i, ok := asInt(v); ok {
		return float64(i), true
	}
	return 0, false
}
func toBig(v any) *big.Int {
	if z, ok := v.(*big.Int); ok {
		return z
	}
	if i, ok := asInt(v); ok {
		return big.NewInt(i)
	}
	return nil
}

func equal(a, b any) bool { return eq(a, b, 0) }
func eq(a, b any, d int) bool {
	if d > maxRepr {
		fail("RecursionError: value is nested too deeply")
	}
	if s, ok := asStr(a); ok {
		t, ok := asStr(b)
		return ok && s == t
	}
	if x, ok := toFloat(a); ok {
		y, ok := toFloat(b)
		if !ok {
			return false
		}
		if p, q := toBig(a), toBig(b); p != nil && q != nil {
			return p.Cmp(q) == 0
		}
		return x == y
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case undef:
		_, ok := b.(undef)
		return ok
	case *dict:
		y, ok := b.(*dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for k, v := range x.m {
			w, ok := y.m[k]
			if !ok || !eq(v, w, d+1) {
				return false
			}
		}
		return true
	case *list, tuple, rangeV:
		if typeName(a) != typeName(b) {
			return false
		}
		p, _ := seqOf(a)
		q, _ := seqOf(b)
		if len(p) != len(q) {
			return false
		}
		for i := range p {
			if !eq(p[i], q[i], d+1) {
				return false
			}
		}
		return true
	case *namespace:
		y, ok := b.(*namespace)
		return ok && x == y
	case *macro:
		y, ok := b.(*macro)
		return ok && x == y
	}
	return false
}

// compare orders two values or fails as Python does
func compare(a, b any, op string) int {
	if s, ok := asStr(a); ok {
		if t, ok := asStr(b); ok {
			return strings.Compare(s, t)
		}
	}
	if x, ok := toFloat(a); ok {
		if y, ok := toFloat(b); ok {
			if p, q := toBig(a), toBig(b); p != nil && q != nil {
				return p.Cmp(q)
			}
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	if p, ok := seqOf(a); ok && typeName(a) == typeName(b) {
		q, _ := seqOf(b)
		for i := 0; i < len(p) && i < len(q); i++ {
			if !equal(p[i], q[i]) {
				return compare(p[i], q[i], op)
			}
		}
		return len(p) - len(q)
	}
	fail("TypeError: '%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	return 0
}

func contains(c, x any) bool {
	if s, ok := asStr(c); ok {
		t, ok := asStr(x)
		if !ok {
			fail("TypeError: 'in <string>' requires string as left operand, not %s", typeName(x))
		}
		return strings.Contains(s, t)
	}
	if d, ok := c.(*dict); ok {
		_, ok := d.get(x)
		return ok
	}
	if c == nil {
		fail("TypeError: argument of type 'NoneType' is not iterable")
	}
	for _, y := range iter(c) {
		if equal(x, y) {
			return true
		}
	}
	return false
}

func escape(v any) markup {
	if m, ok := v.(markup); ok {
		return m
	}
	return markup(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(str(v)))
}

func (st *state) binop(op string, a, b any) any {
	if _, ok := a.(undef); ok {
		fail("UndefinedError: %s", a.(undef).hint)
	}
	if _, ok := b.(undef); ok {
		fail("UndefinedError: %s", b.(undef).hint)
	}
	bad := func() any {
		fail("TypeError: unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
		return nil
	}
	s, aok := asStr(a)
	t, bok := asStr(b)
	switch op {
	case "+":
		if aok && bok {
			st.grow(len(s) + len(t))
			_, am := a.(markup)
			_, bm := b.(markup)
			if am || bm {
				return markup(string(escape(a)) + string(escape(b)))
			}
			return s + t
		}
		if p, ok := seqOf(a); ok && typeName(a) == typeName(b) && typeName(a) != "range" {
			q, _ := seqOf(b)
			st.grow(16 * (len(p) + len(q)))
			r := append(append(make([]any, 0, len(p)+len(q)), p...), q...)
			if _, ok := a.(tuple); ok {
				return tuple(r)
			}
			return &list{r}
		}
	case "*":
		if n, ok := asInt(a); ok && (bok || typeName(b) == "list" || typeName(b) == "tuple") {
			return st.binop("*", b, n)
		}
		if n, ok := asInt(b); ok {
			n = max(n, 0)
			if aok {
				st.growMul(len(s), n)
				return strings.Repeat(s, int(n))
			}
			if p, ok := seqOf(a); ok {
				st.growMul(16*len(p), n)
				var r []any
				for i := int64(0); i < n; i++ {
					r = append(r, p...)
				}
				if _, ok := a.(tuple); ok {
					return tuple(r)
				}
				return &list{r}
			}
		}
	case "%":
		if aok {
			args := []any{b}
			if tp, ok := b.(tuple); ok {
				args = tp
			}
			return st.percent(s, args)
		}
	}
	x, ok1 := toFloat(a)
	y, ok2 := toFloat(b)
	if !ok1 || !ok2 {
		return bad()
	}
	p, q := toBig(a), toBig(b)
	if p != nil && q != nil && op != "/" {
		z := new(big.Int)
		switch op {
		case "+":
			return norm(z.Add(p, q))
		case "-":
			return norm(z.Sub(p, q))
		case "*":
			if p.BitLen()+q.BitLen() > 4096 {
				fail("OverflowError: integer too large")
			}
			return norm(z.Mul(p, q))
		case "//", "%":
			if q.Sign() == 0 {
				fail("ZeroDivisionError: integer division or modulo by zero")
			}
			m := new(big.Int)
			z.DivMod(p, q, m)
			if q.Sign() < 0 && m.Sign() != 0 { // Euclid to floor
				z.Sub(z, big.NewInt(1))
				m.Add(m, q)
			}
			if op == "%" {
				return norm(m)
			}
			return norm(z)
		case "**":
			if q.Sign() >= 0 {
				if !q.IsInt64() || int64(p.BitLen())*q.Int64() > 4096 || q.Int64() > 4096 {
					fail("OverflowError: integer too large")
				}
				return norm(z.Exp(p, q, nil))
			}
		}
	}
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/", "//", "%":
		if y == 0 {
			fail("ZeroDivisionError: division by zero")
		}
		switch op {
		case "/":
			return x / y
		case "//":
			return math.Floor(x / y)
		}
		return x - y*math.Floor(x/y)
	case "**":
		return math.Pow(x, y)
	}
	return bad()
}

func sliceIdx(n int64, a, b, c any) (lo, hi, step int64) {
	get := func(v any, def int64) int64 {
		if v == nil {
			return def
		}
		i, ok := asInt(v)
		if !ok {
			fail("TypeError: slice indices must be integers or None")
		}
		if i < 0 {
			i = max(i+n, -1)
			if i < 0 && step > 0 {
				i = 0
			}
		}
		if step > 0 {
			return min(i, n)
		}
		return min(i, n-1)
	}
	step = 1
	if c != nil {
		var ok bool
		if step, ok = asInt(c); !ok || step == 0 {
			fail("ValueError: slice step must be a non-zero integer")
		}
		step = max(min(step, n+1), -n-1)
	}
	if step > 0 {
		return get(a, 0), get(b, n), step
	}
	return get(a, n-1), get(b, -1), step
}
func slice(v, a, b, c any) any {
	pick := func(n int64, f func(i int64)) {
		lo, hi, step := sliceIdx(n, a, b, c)
		for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
			f(i)
		}
	}
	if s, ok := asStr(v); ok {
		r := []rune(s)
		var o []rune
		pick(int64(len(r)), func(i int64) { o = append(o, r[i]) })
		return string(o)
	}
	l, ok := seqOf(v)
	if !ok {
		fail("TypeError: '%s' object is not subscriptable", typeName(v))
	}
	var o []any
	pick(int64(len(l)), func(i int64) { o = append(o, l[i]) })
	switch v.(type) {
	case tuple:
		return tuple(o)
	}
	return &list{o}
}

// Dict is an ordered JSON object or Python dict.
type Dict = dict

// NewDict returns an empty Dict.
func NewDict() *Dict { return newDict() }

// Len is the number of keys; a nil Dict has none.
func (d *dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// Get returns the value of a key.
func (d *dict) Get(key string) (any, bool) { return d.str(key) }

// Set gives a key its value; a key that is there keeps its place.
func (d *dict) Set(key string, value any) { d.set(key, value) }

// Keys lists the string keys in order.
func (d *dict) Keys() []string {
	if d == nil {
		return nil
	}
	keys := make([]string, 0, len(d.keys))
	for _, k := range d.keys {
		if s, ok := asStr(k); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

// Items gives the items of a JSON array.
func Items(v any) ([]any, bool) {
	l, ok := v.(*list)
	if !ok {
		return nil, false
	}
	return l.v, true
}
