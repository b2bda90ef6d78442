package jinja

import (
	"fmt"
	"math"
	"math/big"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

type method = func(st *state, a []any, k *dict) any
type filterF = func(st *state, v any, a []any, k *dict) any
type testF = func(st *state, v any, a []any, k *dict) bool

var (
	globals   map[string]any
	filterTab map[string]filterF
	testTab   map[string]testF
)

// arg returns a positional or keyword argument
func arg(a []any, k *dict, i int, name string, def any) any {
	if i < len(a) {
		return a[i]
	}
	if v, ok := k.str(name); ok {
		return v
	}
	return def
}
func sarg(a []any, k *dict, i int, name, def string) string {
	v := arg(a, k, i, name, def)
	s, ok := asStr(v)
	if !ok {
		fail("TypeError: argument must be str, not %s", typeName(v))
	}
	return s
}
func iarg(a []any, k *dict, i int, name string, def int64) int64 {
	v := arg(a, k, i, name, def)
	n, ok := asInt(v)
	if !ok {
		fail("TypeError: '%s' object cannot be interpreted as an integer", typeName(v))
	}
	return n
}
func strList(l []string) *list {
	r := make([]any, len(l))
	for i, s := range l {
		r[i] = s
	}
	return &list{r}
}
func strip(s string, chars any, l, r bool) string {
	f := pySpace
	if chars != nil {
		c, ok := asStr(chars)
		if !ok {
			fail("TypeError: strip arg must be None or str")
		}
		f = func(x rune) bool { return strings.ContainsRune(c, x) }
	}
	if l {
		s = strings.TrimLeftFunc(s, f)
	}
	if r {
		s = strings.TrimRightFunc(s, f)
	}
	return s
}
func title(s string) string {
	prev := false
	return strings.Map(func(r rune) rune {
		p := prev
		if prev = unicode.IsLetter(r) || p && r == '\''; !unicode.IsLetter(r) {
			return r
		}
		if p {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}
func capitalize(s string) string {
	r := []rune(strings.ToLower(s))
	if len(r) > 0 {
		r[0] = unicode.ToTitle(r[0])
	}
	return string(r)
}
func (st *state) replace(s, o, n string, c int) string {
	if d := len(n) - len(o); d > 0 {
		cnt := strings.Count(s, o)
		if c >= 0 {
			cnt = min(cnt, c)
		}
		st.growMul(d, int64(cnt))
	}
	return strings.Replace(s, o, n, c)
}
func pad(s string, w int64, l, r bool, c string, st *state) string {
	n := w - length(s)
	if n <= 0 {
		return s
	}
	st.growMul(1, n)
	switch {
	case l && r:
		h := n/2 + (n & w & 1)
		return strings.Repeat(c, int(h)) + s + strings.Repeat(c, int(n-h))
	case l:
		return strings.Repeat(c, int(n)) + s
	}
	return s + strings.Repeat(c, int(n))
}
func allRunes(s string, f func(rune) bool) bool {
	for _, r := range s {
		if !f(r) {
			return false
		}
	}
	return s != ""
}

func methods(o any, name string) method {
	switch x := o.(type) {
	case string:
		return strMethod(x, name)
	case markup:
		return strMethod(string(x), name)
	case *dict:
		switch name {
		case "items":
			return func(*state, []any, *dict) any { return dictItems(x) }
		case "keys":
			return func(*state, []any, *dict) any { return &list{x.keys} }
		case "values":
			return func(*state, []any, *dict) any {
				var r []any
				for _, k := range x.keys {
					r = append(r, x.m[hashable(k)])
				}
				return &list{r}
			}
		case "get":
			return func(_ *state, a []any, k *dict) any {
				if v, ok := x.get(arg(a, nil, 0, "", nil)); ok {
					return v
				}
				return arg(a, nil, 1, "", nil)
			}
		case "copy":
			return func(*state, []any, *dict) any { return x }
		}
	case *list, tuple:
		l, _ := seqOf(o)
		switch name {
		case "index", "count":
			return func(_ *state, a []any, _ *dict) any {
				n := int64(0)
				for i, y := range l {
					if equal(y, arg(a, nil, 0, "", nil)) {
						if name == "index" {
							return int64(i)
						}
						n++
					}
				}
				if name == "index" {
					fail("ValueError: value is not in list")
				}
				return n
			}
		}
	}
	return nil
}
func dictItems(d *dict) *list {
	r := make([]any, len(d.keys))
	for i, k := range d.keys {
		r[i] = tuple{k, d.m[hashable(k)]}
	}
	return &list{r}
}

func strMethod(s, name string) method {
	b := func(f func(rune) bool) method {
		return func(*state, []any, *dict) any { return allRunes(s, f) }
	}
	m := func(f func(string) string) method {
		return func(*state, []any, *dict) any { return f(s) }
	}
	affix := func(f func(string, string) bool) method {
		return func(_ *state, a []any, _ *dict) any {
			if t, ok := arg(a, nil, 0, "", nil).(tuple); ok {
				for _, x := range t {
					if p, _ := asStr(x); f(s, p) {
						return true
					}
				}
				return false
			}
			return f(s, sarg(a, nil, 0, "", ""))
		}
	}
	switch name {
	case "strip", "lstrip", "rstrip":
		return func(_ *state, a []any, _ *dict) any {
			return strip(s, arg(a, nil, 0, "", nil), name != "rstrip", name != "lstrip")
		}
	case "upper":
		return m(strings.ToUpper)
	case "lower", "casefold":
		return m(strings.ToLower)
	case "title":
		return m(title)
	case "capitalize":
		return m(capitalize)
	case "isdigit", "isnumeric", "isdecimal":
		return b(unicode.IsDigit)
	case "isalpha":
		return b(unicode.IsLetter)
	case "isalnum":
		return b(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	case "isspace":
		return b(pySpace)
	case "isupper":
		return m2(s == strings.ToUpper(s) && s != strings.ToLower(s))
	case "islower":
		return m2(s == strings.ToLower(s) && s != strings.ToUpper(s))
	case "startswith":
		return affix(strings.HasPrefix)
	case "endswith":
		return affix(strings.HasSuffix)
	case "removeprefix":
		return func(_ *state, a []any, _ *dict) any { return strings.TrimPrefix(s, sarg(a, nil, 0, "", "")) }
	case "removesuffix":
		return func(_ *state, a []any, _ *dict) any { return strings.TrimSuffix(s, sarg(a, nil, 0, "", "")) }
	case "find", "rfind", "index", "rindex":
		return func(_ *state, a []any, _ *dict) any {
			f := strings.Index
			if name[0] == 'r' {
				f = strings.LastIndex
			}
			i := f(s, sarg(a, nil, 0, "", ""))
			if i < 0 && strings.HasSuffix(name, "index") {
				fail("ValueError: substring not found")
			}
			if i > 0 {
				return length(s[:i])
			}
			return int64(i)
		}
	case "count":
		return func(_ *state, a []any, _ *dict) any { return int64(strings.Count(s, sarg(a, nil, 0, "", ""))) }
	case "replace":
		return func(st *state, a []any, k *dict) any {
			return st.replace(s, sarg(a, nil, 0, "", ""), sarg(a, nil, 1, "", ""), int(iarg(a, k, 2, "count", -1)))
		}
	case "split", "rsplit":
		return func(_ *state, a []any, k *dict) any {
			return strList(pySplit(s, arg(a, k, 0, "sep", nil), int(iarg(a, k, 1, "maxsplit", -1)), name == "rsplit"))
		}
	case "splitlines":
		return func(*state, []any, *dict) any {
			t := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\x1c", "\n", "\x1d", "\n", "\x1e", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
			if t == "" {
				return &list{}
			}
			return strList(strings.Split(strings.TrimSuffix(t, "\n"), "\n"))
		}
	case "partition", "rpartition":
		return func(_ *state, a []any, _ *dict) any {
			sep := sarg(a, nil, 0, "", "")
			if name[0] == 'r' {
				if i := strings.LastIndex(s, sep); i >= 0 {
					return tuple{s[:i], sep, s[i+len(sep):]}
				}
				return tuple{"", "", s}
			}
			if x, y, ok := strings.Cut(s, sep); ok {
				return tuple{x, sep, y}
			}
			return tuple{s, "", ""}
		}
	case "join":
		return func(st *state, a []any, _ *dict) any {
			var p []string
			for _, x := range iter(arg(a, nil, 0, "", nil)) {
				y, ok := asStr(x)
				if !ok {
					fail("TypeError: sequence item: expected str instance, %s found", typeName(x))
				}
				st.grow(len(y) + len(s))
				p = append(p, y)
			}
			return strings.Join(p, s)
		}
	case "swapcase":
		return m(func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsUpper(r) {
					return unicode.ToLower(r)
				}
				return unicode.ToUpper(r)
			}, s)
		})
	case "zfill":
		return func(st *state, a []any, _ *dict) any { return pad(s, iarg(a, nil, 0, "", 0), true, false, "0", st) }
	case "center", "ljust", "rjust":
		return func(st *state, a []any, _ *dict) any {
			return pad(s, iarg(a, nil, 0, "", 0), name != "ljust", name != "rjust", sarg(a, nil, 1, "", " "), st)
		}
	case "format":
		return func(st *state, a []any, k *dict) any { return st.format(s, a, k) }
	}
	return nil
}
func m2(b bool) method { return func(*state, []any, *dict) any { return b } }

func pySplit(s string, sep any, n int, right bool) []string {
	var p []string
	if sep == nil {
		if n < 0 {
			return strings.FieldsFunc(s, pySpace)
		}
		for s = strings.TrimLeftFunc(s, pySpace); s != ""; s = strings.TrimLeftFunc(s, pySpace) {
			i := strings.IndexFunc(s, pySpace)
			if i < 0 || len(p) == n {
				return append(p, s)
			}
			p, s = append(p, s[:i]), s[i:]
		}
		return p
	}
	d, ok := asStr(sep)
	if !ok || d == "" {
		fail("ValueError: empty separator")
	}
	if p = strings.Split(s, d); n < 0 || len(p) <= n+1 {
		return p
	}
	if right {
		return append([]string{strings.Join(p[:len(p)-n], d)}, p[len(p)-n:]...)
	}
	return strings.SplitN(s, d, n+1)
}

// percent is "%" formatting (the subset with flags, width and precision)
func (st *state) percent(f string, args []any) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		j := i + 1
		var val any
		named := false
		if j < len(f) && f[j] == '(' {
			e := strings.IndexByte(f[j:], ')')
			d, ok := arg(args, nil, 0, "", nil).(*dict)
			if e < 0 || !ok {
				fail("TypeError: format requires a mapping")
			}
			val, _ = d.get(f[j+1 : j+e])
			named, j = true, j+e+1
		}
		s := j
		for j < len(f) && strings.IndexByte("-+ #0123456789.", f[j]) >= 0 {
			j++
		}
		if j >= len(f) || j-s > 8 {
			fail("ValueError: bad format")
		}
		spec, c := "%"+f[s:j], f[j]
		i = j
		if c == '%' {
			b.WriteByte('%')
			continue
		}
		if !named {
			if n >= len(args) {
				fail("TypeError: not enough arguments for format string")
			}
			val = args[n]
			n++
		}
		st.grow(256)
		switch c {
		case 's':
			fmt.Fprintf(&b, spec+"s", str(val))
		case 'r':
			fmt.Fprintf(&b, spec+"s", repr(val))
		case 'd', 'i', 'x', 'X', 'o':
			x, ok := toFloat(val)
			if !ok {
				fail("TypeError: %%d format: a number is required, not %s", typeName(val))
			}
			if c == 'i' {
				c = 'd'
			}
			z := toBig(val)
			if z == nil {
				z = big.NewInt(int64(x))
			}
			fmt.Fprintf(&b, spec+string(c), z)
		case 'f', 'F', 'e', 'E', 'g', 'G':
			x, ok := toFloat(val)
			if !ok {
				fail("TypeError: must be real number, not %s", typeName(val))
			}
			fmt.Fprintf(&b, spec+string(c), x)
		default:
			fail("ValueError: unsupported format character %q", c)
		}
	}
	return b.String()
}

// format is str.format with plain fields: {}, {0}, {name}, and a ":<6.2f" style spec
func (st *state) format(f string, a []any, k *dict) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(f); i++ {
		c := f[i]
		if (c == '{' || c == '}') && i+1 < len(f) && f[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		e := strings.IndexByte(f[i:], '}')
		if e < 0 {
			fail("ValueError: expected '}' before end of string")
		}
		name, spec, _ := strings.Cut(f[i+1:i+e], ":")
		i += e
		var v any
		if name == "" {
			name = strconv.Itoa(n)
			n++
		}
		if j, err := strconv.Atoi(name); err == nil {
			if j >= len(a) {
				fail("IndexError: replacement index out of range")
			}
			v = a[j]
		} else if w, ok := k.str(name); ok {
			v = w
		} else {
			fail("KeyError: %s", quote(name))
		}
		b.WriteString(st.fspec(v, spec))
	}
	return b.String()
}
func (st *state) fspec(v any, spec string) string {
	if spec == "" {
		return str(v)
	}
	align := byte(0)
	if strings.IndexByte("<>^", spec[0]) >= 0 {
		align, spec = spec[0], spec[1:]
	}
	zero := strings.HasPrefix(spec, "0")
	j := 0
	for j < len(spec) && spec[j] >= '0' && spec[j] <= '9' {
		j++
	}
	w, _ := strconv.Atoi(spec[:j])
	spec = spec[j:]
	s := str(v)
	if spec != "" && spec != "s" {
		s = st.percent("%"+strings.TrimSuffix(spec, ",")+map[bool]string{true: "", false: "f"}[strings.ContainsAny(spec, "dfegxo")], []any{v})
	}
	_, num := toFloat(v)
	right := align == '>' || align == 0 && num
	fill := " "
	if zero {
		fill = "0"
	}
	return pad(s, int64(w), right || align == '^', !right || align == '^', fill, st)
}

// ---- JSON as Python's json.dumps writes it
type jsonOpt struct {
	indent    *string
	item, key string
	ascii     bool
	sort      bool
}

func (st *state) dumps(b *strings.Builder, v any, o *jsonOpt, lvl int) {
	st.step()
	st.grow(8)
	if lvl > maxRepr {
		fail("RecursionError: value is nested too deeply")
	}
	nl := func(l int) {
		if o.indent != nil {
			st.growMul(len(*o.indent), int64(l))
			b.WriteString("\n" + strings.Repeat(*o.indent, l))
		}
	}
	seq := func(open, cl string, n int, f func(int)) {
		b.WriteString(open)
		for i := 0; i < n; i++ {
			if i > 0 {
				b.WriteString(o.item)
			}
			nl(lvl + 1)
			f(i)
		}
		if n > 0 {
			nl(lvl)
		}
		b.WriteString(cl)
	}
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case int64, *big.Int:
		b.WriteString(repr(x))
	case float64:
		switch {
		case math.IsNaN(x):
			b.WriteString("NaN")
		case math.IsInf(x, 0):
			b.WriteString(strings.Replace(strings.Replace(fmtFloat(x), "inf", "Infinity", 1), "+", "", 1))
		default:
			b.WriteString(fmtFloat(x))
		}
	case string:
		jsonStr(b, x, o.ascii)
	case markup:
		jsonStr(b, string(x), o.ascii)
	case *list:
		seq("[", "]", len(x.v), func(i int) { st.dumps(b, x.v[i], o, lvl+1) })
	case tuple:
		seq("[", "]", len(x), func(i int) { st.dumps(b, x[i], o, lvl+1) })
	case *dict:
		keys := x.keys
		if o.sort {
			keys = append([]any{}, keys...)
			sort.SliceStable(keys, func(i, j int) bool { return compare(keys[i], keys[j], "<") < 0 })
		}
		seq("{", "}", len(keys), func(i int) {
			k := keys[i]
			if s, ok := asStr(k); ok {
				jsonStr(b, s, o.ascii)
			} else {
				b.WriteByte('"')
				st.dumps(b, k, o, lvl+1)
				b.WriteByte('"')
			}
			b.WriteString(o.key)
			st.dumps(b, x.m[hashable(k)], o, lvl+1)
		})
	default:
		fail("TypeError: Object of type %s is not JSON serializable", typeName(v))
	}
}
func jsonStr(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, r := range s {
		if i := strings.IndexRune("\"\\\n\r\t\b\f", r); i >= 0 {
			b.WriteByte('\\')
			b.WriteByte("\"\\nrtbf"[i])
		} else if r >= 0x20 && (!ascii || r < 0x7f) {
			b.WriteRune(r)
		} else if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		} else {
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}
func tojson(st *state, v any, a []any, k *dict) any {
	o := &jsonOpt{item: ", ", key: ": ", ascii: truth(arg(a, k, 0, "ensure_ascii", false)), sort: truth(arg(a, k, 3, "sort_keys", false))}
	switch x := arg(a, k, 1, "indent", nil).(type) {
	case int64:
		s := strings.Repeat(" ", int(max(0, min(x, 64))))
		o.indent = &s
	case string:
		o.indent = &x
	}
	if o.indent != nil {
		o.item = ","
	}
	if l, ok := seqOf(arg(a, k, 2, "separators", nil)); ok && len(l) == 2 {
		o.item, o.key = str(l[0]), str(l[1])
	}
	var b strings.Builder
	st.dumps(&b, v, o, 0)
	return b.String()
}

// attrGet resolves "a.b.0" for map, selectattr, sort and so on
func (st *state) attrGet(v any, path any, def any) any {
	if i, ok := asInt(path); ok {
		return st.item(v, i)
	}
	s, _ := asStr(path)
	for _, p := range strings.Split(s, ".") {
		var w any
		if n, err := strconv.Atoi(p); err == nil {
			w = st.item(v, int64(n))
		} else {
			w = st.item(v, p)
		}
		if _, ok := w.(undef); ok && def != nil {
			return def
		}
		v = w
	}
	return v
}
func (st *state) sel(v any, a []any, k *dict, attr, want bool) any {
	if !truth(v) {
		return gen{}
	}
	var path any
	if attr {
		path, a = arg(a, nil, 0, "", nil), a[min(1, len(a)):]
	}
	var f testF
	if len(a) > 0 {
		n, _ := asStr(a[0])
		if f, a = testTab[n], a[1:]; f == nil {
			fail("TemplateRuntimeError: No test named %q", n)
		}
	}
	out := gen{}
	for _, x := range iter(v) {
		st.step()
		y := x
		if attr {
			y = st.attrGet(x, path, nil)
		}
		ok := false
		if f != nil {
			ok = f(st, y, a, k)
		} else {
			ok = truth(y)
		}
		if ok == want {
			out = append(out, x)
		}
	}
	return out
}
func sortBy(st *state, l []any, attr any, cs, rev bool) []any {
	keys := make([]any, len(l))
	idx := make([]int, len(l))
	for i, x := range l {
		if keys[i] = x; attr != nil {
			keys[i] = st.attrGet(x, attr, nil)
		}
		if s, ok := asStr(keys[i]); ok && !cs {
			keys[i] = strings.ToLower(s)
		}
		idx[i] = i
	}
	sort.SliceStable(idx, func(i, j int) bool {
		c := compare(keys[idx[i]], keys[idx[j]], "<")
		if rev {
			return c > 0
		}
		return c < 0
	})
	out := make([]any, len(l))
	for i, j := range idx {
		out[i] = l[j]
	}
	return out
}
func sf(f func(string) string) filterF {
	return func(_ *state, v any, _ []any, _ *dict) any { return f(str(v)) }
}
func tf(f func(v any) bool) testF {
	return func(_ *state, v any, _ []any, _ *dict) bool { return f(v) }
}
func cf(op string) testF {
	return func(_ *state, v any, a []any, _ *dict) bool { return cmpOp(op, v, arg(a, nil, 0, "", nil)) }
}
func typeIs(names ...string) testF {
	return tf(func(v any) bool {
		t := typeName(v)
		for _, n := range names {
			if n == t {
				return true
			}
		}
		return false
	})
}
func first(v any, last bool) any {
	l := iter(v)
	if len(l) == 0 {
		return undef{"No first item, sequence was empty."}
	}
	if last {
		if _, ok := v.(gen); ok {
			fail("TypeError: 'generator' object is not reversible")
		}
		return l[len(l)-1]
	}
	return l[0]
}
func toInt(v any, def any, base int) any {
	switch x := v.(type) {
	case int64, *big.Int:
		return x
	case float64:
		return int64(x)
	case bool:
		i, _ := asInt(x)
		return i
	case string:
		s := strings.TrimSpace(x)
		if base != 10 {
			s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "0x"), "0b"), "0o")
		}
		if z, ok := new(big.Int).SetString(s, base); ok {
			return norm(z)
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return int64(f)
		}
	}
	return def
}

func init() {
	f := func(name string, g method) fn { return fn{name, g} }
	globals = map[string]any{
		"range": f("range", func(st *state, a []any, _ *dict) any {
			r := rangeV{s: 1}
			switch len(a) {
			case 1:
				r.b = iarg(a, nil, 0, "", 0)
			case 2, 3:
				r.a, r.b, r.s = iarg(a, nil, 0, "", 0), iarg(a, nil, 1, "", 0), iarg(a, nil, 2, "", 1)
			default:
				fail("TypeError: range expected 1 to 3 arguments")
			}
			if r.s == 0 {
				fail("ValueError: range() arg 3 must not be zero")
			}
			r.v = []any{}
			for i := r.a; r.s > 0 && i < r.b || r.s < 0 && i > r.b; i += r.s {
				if len(r.v) >= 100000 {
					fail("OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).")
				}
				r.v = append(r.v, i)
			}
			return r
		}),
		"namespace": f("namespace", func(st *state, a []any, k *dict) any {
			n := &namespace{map[string]any{}}
			for _, d := range append(append([]any{}, a...), k) {
				if d, ok := d.(*dict); ok && d != nil {
					for _, x := range d.keys {
						n.m[str(x)] = d.m[hashable(x)]
					}
				}
			}
			return n
		}),
		"dict": f("dict", func(st *state, a []any, k *dict) any {
			d := newDict()
			if len(a) > 0 {
				if s, ok := a[0].(*dict); ok {
					for _, x := range s.keys {
						d.set(x, s.m[hashable(x)])
					}
				} else {
					for _, p := range iter(a[0]) {
						if q := iter(p); len(q) == 2 {
							d.set(q[0], q[1])
						}
					}
				}
			}
			if k != nil {
				for _, x := range k.keys {
					d.set(x, k.m[x])
				}
			}
			return d
		}),
		"raise_exception": f("raise_exception", func(st *state, a []any, _ *dict) any {
			fail("TemplateError: %s", str(arg(a, nil, 0, "", "")))
			return nil
		}),
		"strftime_now": f("strftime_now", func(st *state, a []any, _ *dict) any { return st.now(sarg(a, nil, 0, "", "")) }),
		"joiner": f("joiner", func(st *state, a []any, k *dict) any {
			sep, used := sarg(a, k, 0, "sep", ", "), false
			return f("joiner", func(*state, []any, *dict) any {
				if !used {
					used = true
					return ""
				}
				return sep
			})
		}),
		"cycler": f("cycler", func(st *state, a []any, _ *dict) any {
			i := -1
			return &namespace{map[string]any{"next": f("next", func(*state, []any, *dict) any { i++; return a[i%len(a)] })}}
		}),
	}
	filterTab = map[string]filterF{
		"tojson": tojson,
		"upper":  sf(strings.ToUpper), "lower": sf(strings.ToLower), "title": sf(title), "capitalize": sf(capitalize),
		"string": func(_ *state, v any, _ []any, _ *dict) any {
			if _, ok := v.(markup); ok {
				return v
			}
			return str(v)
		},
		"trim": func(_ *state, v any, a []any, k *dict) any {
			return strip(str(v), arg(a, k, 0, "chars", nil), true, true)
		},
		"escape":      func(_ *state, v any, _ []any, _ *dict) any { return escape(v) },
		"forceescape": func(_ *state, v any, _ []any, _ *dict) any { return escape(str(v)) },
		"safe":        func(_ *state, v any, _ []any, _ *dict) any { return markup(str(v)) },
		"length":      func(_ *state, v any, _ []any, _ *dict) any { return length(v) },
		"wordcount":   func(_ *state, v any, _ []any, _ *dict) any { return int64(len(strings.FieldsFunc(str(v), pySpace))) },
		"first":       func(_ *state, v any, _ []any, _ *dict) any { return first(v, false) },
		"last":        func(_ *state, v any, _ []any, _ *dict) any { return first(v, true) },
		"list":        func(st *state, v any, _ []any, _ *dict) any { return &list{append([]any{}, iter(v)...)} },
		"items": func(_ *state, v any, _ []any, _ *dict) any {
			if _, ok := v.(undef); ok {
				return gen{}
			}
			d, ok := v.(*dict)
			if !ok {
				fail("TypeError: Can only get item pairs from a mapping.")
			}
			return gen(dictItems(d).v)
		},
		"dictsort": func(st *state, v any, a []any, k *dict) any {
			d, ok := v.(*dict)
			if !ok {
				fail("TypeError: dictsort needs a mapping")
			}
			at := int64(0)
			if s := sarg(a, k, 1, "by", "key"); s == "value" {
				at = 1
			}
			return &list{sortBy(st, dictItems(d).v, at, truth(arg(a, k, 0, "case_sensitive", false)), truth(arg(a, k, 2, "reverse", false)))}
		},
		"default": func(_ *state, v any, a []any, k *dict) any {
			_, u := v.(undef)
			if u || truth(arg(a, k, 1, "boolean", false)) && !truth(v) {
				return arg(a, k, 0, "default_value", "")
			}
			return v
		},
		"replace": func(st *state, v any, a []any, k *dict) any {
			c := arg(a, k, 2, "count", nil)
			n := -1
			if i, ok := asInt(c); ok {
				n = int(i)
			}
			return st.replace(str(v), str(arg(a, k, 0, "old", "")), str(arg(a, k, 1, "new", "")), n)
		},
		"join": func(st *state, v any, a []any, k *dict) any {
			sep, at := str(arg(a, k, 0, "d", "")), arg(a, k, 1, "attribute", nil)
			var p []string
			for _, x := range iter(v) {
				if at != nil {
					x = st.attrGet(x, at, nil)
				}
				s := str(x)
				st.grow(len(s) + len(sep))
				p = append(p, s)
			}
			return strings.Join(p, sep)
		},
		"map": func(st *state, v any, a []any, k *dict) any {
			out := gen{}
			if !truth(v) {
				return out
			}
			at, isAttr := k.str("attribute")
			def, _ := k.str("default")
			var f filterF
			if !isAttr {
				if n := sarg(a, nil, 0, "", ""); filterTab[n] == nil {
					fail("TemplateRuntimeError: No filter named %q", n)
				} else {
					f = filterTab[n]
				}
			}
			for _, x := range iter(v) {
				st.step()
				if isAttr {
					out = append(out, st.attrGet(x, at, def))
				} else {
					out = append(out, f(st, x, a[1:], k))
				}
			}
			return out
		},
		"select":     func(st *state, v any, a []any, k *dict) any { return st.sel(v, a, k, false, true) },
		"reject":     func(st *state, v any, a []any, k *dict) any { return st.sel(v, a, k, false, false) },
		"selectattr": func(st *state, v any, a []any, k *dict) any { return st.sel(v, a, k, true, true) },
		"rejectattr": func(st *state, v any, a []any, k *dict) any { return st.sel(v, a, k, true, false) },
		"sort": func(st *state, v any, a []any, k *dict) any {
			return &list{sortBy(st, iter(v), arg(a, k, 2, "attribute", nil), truth(arg(a, k, 1, "case_sensitive", false)), truth(arg(a, k, 0, "reverse", false)))}
		},
		"unique": func(st *state, v any, a []any, k *dict) any {
			out, seen := gen{}, newDict()
			for _, x := range iter(v) {
				y := x
				if at := arg(a, k, 1, "attribute", nil); at != nil {
					y = st.attrGet(x, at, nil)
				}
				if s, ok := asStr(y); ok {
					y = strings.ToLower(s)
				}
				if _, ok := seen.get(y); !ok {
					seen.set(y, true)
					out = append(out, x)
				}
			}
			return out
		},
		"reverse": func(_ *state, v any, _ []any, _ *dict) any {
			if s, ok := asStr(v); ok {
				return slice(s, nil, nil, int64(-1))
			}
			l := iter(v)
			out := make(gen, len(l))
			for i, x := range l {
				out[len(l)-1-i] = x
			}
			return out
		},
		"sum": func(st *state, v any, a []any, k *dict) any {
			s := arg(a, k, 1, "start", int64(0))
			for _, x := range iter(v) {
				if at := arg(a, k, 0, "attribute", nil); at != nil {
					x = st.attrGet(x, at, nil)
				}
				s = st.binop("+", s, x)
			}
			return s
		},
		"batch": func(st *state, v any, a []any, k *dict) any {
			out, n := gen{}, int(iarg(a, k, 0, "linecount", 1))
			l := iter(v)
			for i := 0; n > 0 && i < len(l); i += n {
				b := append([]any{}, l[i:min(i+n, len(l))]...)
				if fill := arg(a, k, 1, "fill_with", nil); fill != nil {
					st.growMul(16, int64(n-len(b)))
					for len(b) < n {
						b = append(b, fill)
					}
				}
				out = append(out, &list{b})
			}
			return out
		},
		"groupby": func(st *state, v any, a []any, k *dict) any {
			at := arg(a, k, 0, "attribute", nil)
			out := &list{}
			for _, x := range sortBy(st, iter(v), at, false, false) {
				g := st.attrGet(x, at, nil)
				if n := len(out.v); n > 0 && equal(out.v[n-1].(tuple)[0], g) {
					l := out.v[n-1].(tuple)[1].(*list)
					l.v = append(l.v, x)
				} else {
					out.v = append(out.v, tuple{g, &list{[]any{x}}})
				}
			}
			return out
		},
		"indent": func(st *state, v any, a []any, k *dict) any {
			var in string
			switch w := arg(a, k, 0, "width", int64(4)).(type) {
			case string:
				in = w
			default:
				n, _ := asInt(w)
				in = strings.Repeat(" ", int(max(0, min(n, 256))))
			}
			lines := strings.Split(str(v), "\n")
			for i, s := range lines {
				if (s != "" || truth(arg(a, k, 2, "blank", false))) && i > 0 {
					st.grow(len(in))
					lines[i] = in + s
				}
			}
			s := strings.Join(lines, "\n")
			if truth(arg(a, k, 1, "first", false)) {
				s = in + s
			}
			return s
		},
		"format": func(st *state, v any, a []any, k *dict) any {
			if k != nil {
				a = []any{k}
			}
			return st.percent(str(v), a)
		},
		"int": func(_ *state, v any, a []any, k *dict) any {
			return toInt(v, arg(a, k, 0, "default", int64(0)), int(iarg(a, k, 1, "base", 10)))
		},
		"float": func(_ *state, v any, a []any, k *dict) any {
			if x, ok := toFloat(v); ok {
				return x
			}
			if s, ok := asStr(v); ok {
				if x, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
					return x
				}
			}
			return arg(a, k, 0, "default", 0.0)
		},
		"round": func(_ *state, v any, a []any, k *dict) any {
			x, ok := toFloat(v)
			if !ok {
				fail("TypeError: type %s doesn't define __round__ method", typeName(v))
			}
			p := iarg(a, k, 0, "precision", 0)
			m := math.Pow(10, float64(p))
			switch sarg(a, k, 1, "method", "common") {
			case "ceil":
				return math.Ceil(x*m) / m
			case "floor":
				return math.Floor(x*m) / m
			}
			if toBig(v) != nil && p >= 0 {
				return v
			}
			r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', int(max(0, min(p, 300))), 64), 64)
			return r
		},
		"abs": func(st *state, v any, _ []any, _ *dict) any {
			if cmpOp("<", v, int64(0)) {
				return st.binop("*", v, int64(-1))
			}
			return v
		},
		"attr": func(st *state, v any, a []any, _ *dict) any {
			if m := st.member(v, sarg(a, nil, 0, "", "")); m != nil {
				return *m
			}
			return undef{"no such attribute"}
		},
		"slice": func(st *state, v any, a []any, k *dict) any {
			l, n := iter(v), iarg(a, k, 0, "slices", 1)
			if n <= 0 {
				fail("ZeroDivisionError: slice needs at least one column")
			}
			st.growMul(64, n)
			fill := arg(a, k, 1, "fill_with", nil)
			out, each, extra := gen{}, int64(len(l))/n, int64(len(l))%n
			for i := range n {
				begin, end := i*each+min(i, extra), (i+1)*each+min(i+1, extra)
				column := append([]any{}, l[begin:end]...)
				if fill != nil && i >= extra {
					column = append(column, fill)
				}
				out = append(out, &list{column})
			}
			return out
		},
		"urlencode": func(_ *state, v any, _ []any, _ *dict) any {
			if d, ok := v.(*dict); ok {
				var pairs []string
				for _, p := range dictItems(d).v {
					pair := p.(tuple)
					pairs = append(pairs, url.QueryEscape(str(pair[0]))+"="+url.QueryEscape(str(pair[1])))
				}
				return strings.Join(pairs, "&")
			}
			return strings.ReplaceAll(url.QueryEscape(str(v)), "+", "%20")
		},
		"center": func(st *state, v any, a []any, k *dict) any {
			return pad(str(v), iarg(a, k, 0, "width", 80), true, true, " ", st)
		},
	}
	for _, o := range []bool{false, true} {
		name := map[bool]string{false: "min", true: "max"}[o]
		filterTab[name] = func(st *state, v any, a []any, k *dict) any {
			return first(&list{sortBy(st, iter(v), arg(a, k, 1, "attribute", nil), truth(arg(a, k, 0, "case_sensitive", false)), o)}, false)
		}
	}
	filterTab["e"], filterTab["d"], filterTab["count"] = filterTab["escape"], filterTab["default"], filterTab["length"]
	iterable := typeIs("str", "Markup", "list", "tuple", "dict", "range", "generator", "Undefined")
	testTab = map[string]testF{
		"defined":   func(st *state, v any, a []any, k *dict) bool { return !typeIs("Undefined")(st, v, a, k) },
		"undefined": typeIs("Undefined"), "none": tf(func(v any) bool { return v == nil }),
		"true": tf(func(v any) bool { return v == true }), "false": tf(func(v any) bool { return v == false }),
		"string": typeIs("str", "Markup"), "mapping": typeIs("dict"), "iterable": iterable,
		"sequence": typeIs("str", "Markup", "list", "tuple", "dict", "range", "Undefined"),
		"number":   typeIs("int", "float", "bool"), "integer": typeIs("int"), "float": typeIs("float"), "boolean": typeIs("bool"),
		"callable": tf(func(v any) bool { _, ok := v.(fn); return ok || typeName(v) == "Macro" }),
		"odd":      tf(func(v any) bool { n := toBig(v); return n != nil && n.Bit(0) == 1 }),
		"even":     tf(func(v any) bool { n := toBig(v); return n != nil && n.Bit(0) == 0 }),
		"divisibleby": func(st *state, v any, a []any, _ *dict) bool {
			return equal(st.binop("%", v, arg(a, nil, 0, "", nil)), int64(0))
		},
		"sameas": func(_ *state, v any, a []any, _ *dict) bool {
			return typeName(v) == typeName(arg(a, nil, 0, "", nil)) && equal(v, a[0])
		},
		"in":     func(_ *state, v any, a []any, _ *dict) bool { return contains(arg(a, nil, 0, "", nil), v) },
		"lower":  tf(func(v any) bool { s := str(v); return s == strings.ToLower(s) && s != strings.ToUpper(s) }),
		"upper":  tf(func(v any) bool { s := str(v); return s == strings.ToUpper(s) && s != strings.ToLower(s) }),
		"filter": tf(func(v any) bool { return filterTab[str(v)] != nil }), "test": tf(func(v any) bool { return testTab[str(v)] != nil }),
	}
	for n, op := range map[string]string{"eq": "==", "equalto": "==", "==": "==", "ne": "!=", "!=": "!=", "lt": "<", "lessthan": "<", "<": "<", "le": "<=", "<=": "<=", "gt": ">", "greaterthan": ">", ">": ">", "ge": ">=", ">=": ">="} {
		testTab[n] = cf(op)
	}
}
