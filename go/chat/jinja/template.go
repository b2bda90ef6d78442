package jinja

import (
	"strings"
	"time"

	"github.com/graftlm/graft/go/failure"
)

// MaxSource is the largest template in bytes. The largest published ones have
// about 20 kB.
const MaxSource = 256 << 10

// Limits bound what one render may use: nodes evaluated, bytes made, and
// levels of recursion.
type Limits struct{ Steps, Bytes, Depth int }

// DefaultLimits are about a hundred times what published chat templates need.
var DefaultLimits = Limits{Steps: 200_000, Bytes: 8 << 20, Depth: 100}

// Template is a parsed template. It is not changed by rendering and may be used
// by several goroutines at once.
type Template struct {
	name  string
	body  []node
	marks bool
}

// Parse reads a template; name stands in its errors. Unknown tags, filters and
// tests are errors here, not when they are first met in a render.
func Parse(name, text string) (*Template, error) {
	if len(text) > MaxSource {
		return nil, failure.Data("template %s has %d bytes, more than the %d allowed", name, len(text), MaxSource)
	}
	body, err := parse(text)
	if err != nil {
		return nil, failure.Data("template %s: %w", name, err)
	}
	return &Template{name, body, hasGeneration(text)}, nil
}

func hasGeneration(text string) bool {
	tokens, err := lex(text)
	for i := range tokens {
		if err == nil && tokens[i].k == tBlkB && tokens[i+1].s == "generation" {
			return true
		}
	}
	return false
}

// Name is the name given to Parse.
func (t *Template) Name() string { return t.name }

// HasGeneration tells whether the template has a {% generation %} block.
func (t *Template) HasGeneration() bool { return t.marks }

// Span is a range of bytes of the text: Text[Start:End].
type Span struct{ Start, End int }

// Output is a rendered template.
type Output struct {
	Text       string
	Generation []Span // what {% generation %} blocks wrote, in order
}

// Options of a render. The zero value has DefaultLimits and the present time.
type Options struct {
	Limits Limits
	Now    time.Time // what strftime_now prints; zero is the present local time
	// Spans asks for Output.Generation. A generation block within captured
	// output (a macro, a set, filter or call block), which has no position in
	// the text, is an error then and plain text otherwise.
	Spans bool
}

// Render runs the template with its variables, values as DecodeJSON and FromGo
// make them.
func (t *Template) Render(variables *Dict, o Options) (out Output, err error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	st := &state{
		sc: (*scope)(nil).child(), out: &strings.Builder{}, mark: o.Spans,
		lim: limits{o.Limits.Steps, o.Limits.Bytes, o.Limits.Depth},
		now: func(format string) string { return strftime(o.Now, format) },
	}
	for _, k := range variables.Keys() {
		st.sc.vars[k], _ = variables.Get(k)
	}
	st.sc = st.sc.child()
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(runErr)
			if !ok {
				panic(r)
			}
			out, err = Output{}, failure.Data("template %s: %s", t.name, e.s)
		}
	}()
	st.run(t.body)
	out.Text = st.out.String()
	for _, s := range st.spans {
		out.Generation = append(out.Generation, Span{s.a, s.b})
	}
	return out, nil
}
