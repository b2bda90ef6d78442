package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
)

// Span is a range of bytes of the text: Text[Start:End].
type Span = jinja.Span

// Rendered is a conversation as text.
type Rendered struct {
	Text      string
	Assistant []Span // what the assistant says, with its end-of-turn token
}

// RuneSpans gives the spans in characters, as transformers counts them.
func (r Rendered) RuneSpans() []Span {
	out := make([]Span, len(r.Assistant))
	chars, at := 0, 0
	to := func(end int) int {
		chars += len([]rune(r.Text[at:end]))
		at = end
		return chars
	}
	for i, s := range r.Assistant {
		out[i].Start = to(s.Start)
		out[i].End = to(s.End)
	}
	return out
}

// Options of a render.
type Options struct {
	AddGenerationPrompt bool
	Tokens              map[string]string // bos_token, eos_token, ...; over those of the template
	Now                 time.Time         // for strftime_now; zero is the present
}

// Template is a chat template. It may be used by several goroutines at once.
type Template struct {
	engine *jinja.Template
	source string
	tokens map[string]string // special tokens by variable name
	tools  *Template         // used in its place where there are tools; may be nil
}

// WritesTools reports whether the template looks at the tools of a
// conversation; the others leave them out without a word.
func (t *Template) WritesTools() bool {
	return t.tools != nil || strings.Contains(t.source, "tools")
}

// Fingerprint is the SHA-256 of all that a render depends on beside its
// variables: the source, the special tokens, and for a template that tells the
// date, the date.
func (t *Template) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %v", t.source, t.tokens)
	if strings.Contains(t.source, "strftime_now") {
		fmt.Fprint(h, time.Now().Format(time.DateOnly))
	}
	if t.tools != nil {
		fmt.Fprint(h, t.tools.Fingerprint())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// of is the template that a conversation takes.
func (t *Template) of(c Conversation) *Template {
	if t.tools != nil && len(c.Tools) > 0 {
		return t.tools
	}
	return t
}

// Parse reads a template; name stands in its errors.
func Parse(name, source string) (*Template, error) {
	engine, err := jinja.Parse(name, source)
	if err != nil {
		return nil, err
	}
	return &Template{engine: engine, source: source}, nil
}

// Name is the name given to Parse.
func (t *Template) Name() string { return t.engine.Name() }

// HasGeneration tells whether the template marks what the assistant says.
func (t *Template) HasGeneration() bool { return t.engine.HasGeneration() }

// Render renders without spans.
func (t *Template) Render(c Conversation, o Options) (Rendered, error) {
	out, err := t.of(c).render(c, o, false)
	return Rendered{Text: out.Text}, err
}

func (t *Template) render(c Conversation, o Options, spans bool) (jinja.Output, error) {
	vars := jinja.NewDict()
	size := 0
	messages := make([]any, len(c.Messages))
	for i, m := range c.Messages {
		messages[i] = m.value()
		size += len(m.Content)
	}
	set := func(name string, v any) error {
		v, err := jinja.FromGo(v)
		if err != nil {
			return failure.Data("template %s: variable %s: %w", t.Name(), name, err)
		}
		vars.Set(name, v)
		return nil
	}
	var tools any
	if len(c.Tools) > 0 {
		tools = c.Tools
	}
	for _, v := range []struct {
		name  string
		value any
	}{{"messages", messages}, {"tools", tools}, {"documents", nil}, {"add_generation_prompt", o.AddGenerationPrompt}} {
		if err := set(v.name, v.value); err != nil {
			return jinja.Output{}, err
		}
	}
	for _, tokens := range []map[string]string{t.tokens, o.Tokens} {
		for name, token := range tokens {
			vars.Set(name, token)
		}
	}
	for name, v := range c.Kwargs {
		if err := set(name, v); err != nil {
			return jinja.Output{}, err
		}
	}
	// Long conversations get an allowance on top, in proportion to their size.
	limits := jinja.DefaultLimits
	limits.Steps += 2000*len(messages) + size/8
	limits.Bytes += 32 * size
	return t.engine.Render(vars, jinja.Options{Limits: limits, Now: o.Now, Spans: spans})
}
