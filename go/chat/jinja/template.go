package jinja

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// MaxSource is the largest template in bytes. The largest published ones have
// about 20 kB.
const MaxSource = 256 << 10

// Template is a parsed template. It is not changed by rendering and may be used
// by several goroutines at once.
type Template struct {
	source *source
	body   []node
	marks  bool
}

// Parse reads a template; name stands in its errors. Unknown tags, filters and
// tests are errors here, not when they are first met in a render.
func Parse(name, text string) (t *Template, err error) {
	if len(text) > MaxSource {
		return nil, failure.Data("template %s has %d bytes, more than the %d allowed", name, len(text), MaxSource)
	}
	if !utf8.ValidString(text) {
		return nil, failure.Data("template %s is not UTF-8 text", name)
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	src := newSource(name, strings.TrimSuffix(text, "\n"))
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(faultAt)
			if !ok {
				panic(r)
			}
			t, err = nil, src.fault(f)
		}
	}()
	p := &parser{tokens: lex(src.text)}
	body := p.template()
	return &Template{src, body, p.marks}, nil
}

func (s *source) fault(f faultAt) error {
	line, column := s.position(f.at)
	return failure.Data("template %s:%d:%d: %s", s.name, line, column, f.text)
}

// Name is the name given to Parse.
func (t *Template) Name() string { return t.source.name }

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
	s := &state{meter: meter{o.Limits}, out: &strings.Builder{}, options: o, scope: (*scope)(nil).child()}
	s.filters, s.tests, s.globals = filters, tests, globals
	for _, key := range variables.Keys() {
		s.scope.names[key], _ = variables.Get(key)
	}
	s.scope = s.scope.child()
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			out, err = Output{}, t.source.fault(faultAt{f, s.at})
		}
	}()
	s.run(t.body)
	return Output{s.out.String(), s.spans}, nil
}
