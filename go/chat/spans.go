package chat

import (
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// maxPrefixMessages bounds the comparing of renders, whose time grows with the
// square of the turns: the messages of all of them together.
const maxPrefixMessages = 100_000

// RenderSpans renders and finds what the assistant says: by {% generation %}
// where the template has it, else as the difference between the renders of the
// messages before and after each assistant turn. The second way is checked: if
// an earlier render is not the beginning of the whole, the spans would be
// wrong, and the error names the template and what to use instead.
func (t *Template) RenderSpans(c Conversation, o Options) (Rendered, error) {
	t = t.of(c)
	if !t.HasGeneration() {
		rendered := 0
		for i, m := range c.Messages {
			if m.Role == "assistant" {
				rendered += 2*i + 1
			}
		}
		if rendered > maxPrefixMessages {
			return Rendered{}, failure.Data("template %s has no {%% generation %%} marks, and %d messages are too many to find what the assistant says by comparing renders; %s",
				t.Name(), len(c.Messages), t.advice(c, o))
		}
	}
	out, err := t.render(c, o, true)
	if err != nil {
		return Rendered{}, err
	}
	r := Rendered{Text: out.Text, Assistant: out.Generation}
	if t.HasGeneration() {
		return r, nil
	}
	for i, m := range c.Messages {
		if m.Role != "assistant" {
			continue
		}
		before, err := t.prefix(c, o, i, true, r.Text)
		if err != nil {
			return Rendered{}, err
		}
		after, err := t.prefix(c, o, i+1, false, r.Text)
		if err != nil {
			return Rendered{}, err
		}
		if after <= before || len(r.Assistant) > 0 && before < r.Assistant[len(r.Assistant)-1].End {
			return Rendered{}, t.unsure(i, t.advice(c, o))
		}
		r.Assistant = append(r.Assistant, Span{Start: before, End: t.trimTurn(r.Text, before, after, o)})
	}
	return r, nil
}

// prefix renders the first n messages and gives the length of the text, if the
// whole begins with it.
func (t *Template) prefix(c Conversation, o Options, n int, prompt bool, whole string) (int, error) {
	all := c
	c.Messages, o.AddGenerationPrompt = c.Messages[:n], prompt
	out, err := t.render(c, o, false)
	if err != nil {
		return 0, failure.Data("%w (while finding what the assistant says: the first %d messages alone); %s", err, n, t.advice(all, o))
	}
	if !strings.HasPrefix(whole, out.Text) {
		return 0, t.unsure(n, t.advice(all, o))
	}
	return len(out.Text), nil
}

// trimTurn leaves out white space after the end-of-turn token, which the model
// never has to produce.
func (t *Template) trimTurn(text string, start, end int, o Options) int {
	eos := t.tokens["eos_token"]
	if s, ok := o.Tokens["eos_token"]; ok {
		eos = s
	}
	trimmed := strings.TrimRight(text[start:end], " \n")
	if eos != "" && strings.HasSuffix(trimmed, eos) {
		return start + len(trimmed)
	}
	return end
}

func (t *Template) unsure(message int, advice string) error {
	return failure.Data("template %s has no {%% generation %%} marks, and what the assistant says cannot be told by comparing renders (at message %d); %s",
		t.Name(), message, advice)
}
