package data

import (
	"strings"

	"github.com/graftlm/graft/go/chat/jinja"
)

// specials finds the spelling of special tokens in text written by hand, where
// the tokenizer reads it as the token itself: so do the Hugging Face tokenizers
// and TRL, which look for added tokens in the rendered text.
type specials map[byte][]string // by the first byte

// specialTokens is what a tokenizer may offer to find them.
type specialTokens interface {
	Size() int
	IsSpecial(id int32) bool
	Token(id int32) (string, bool)
}

func newSpecials(t Tokenizer) specials {
	s := specials{}
	known, ok := t.(specialTokens)
	if !ok {
		return s
	}
	for id := range int32(known.Size()) {
		if text, ok := known.Token(id); ok && text != "" && known.IsSpecial(id) {
			s[text[0]] = append(s[text[0]], text)
		}
	}
	return s
}

// in gives the first one in a record, "" for none. The end token that closes a
// text is meant.
func (s specials) in(r Record, eos string) string {
	for _, text := range []string{r.Prompt, trimEnd(r.Completion, eos), trimEnd(r.Text, eos), r.TextPair} {
		if found := s.find(text); found != "" {
			return found
		}
	}
	for _, p := range r.Segments {
		if found := s.find(trimEnd(p.Text, eos)); found != "" {
			return found
		}
	}
	for _, m := range r.Conversation.Messages {
		if found := s.find(m.Content); found != "" {
			return found
		}
		if found := s.inValue(m.Fields); found != "" {
			return found
		}
	}
	for _, tool := range r.Conversation.Tools {
		if found := s.inValue(tool); found != "" {
			return found
		}
	}
	return ""
}

func trimEnd(text, eos string) string {
	if eos == "" {
		return text
	}
	return strings.TrimSuffix(text, eos)
}

// inValue looks through what a message holds beside its text: parts, tool
// calls, reasoning.
func (s specials) inValue(v any) string {
	switch x := v.(type) {
	case string:
		return s.find(x)
	case *jinja.Dict:
		for _, k := range x.Keys() {
			member, _ := x.Get(k)
			if found := s.inValue(member); found != "" {
				return found
			}
		}
		return ""
	}
	items, _ := jinja.Items(v)
	for _, item := range items {
		if found := s.inValue(item); found != "" {
			return found
		}
	}
	return ""
}

func (s specials) find(text string) string {
	for first, tokens := range s {
		for at := 0; ; at++ {
			next := strings.IndexByte(text[at:], first)
			if next < 0 {
				break
			}
			at += next
			for _, token := range tokens {
				if strings.HasPrefix(text[at:], token) {
					return token
				}
			}
		}
	}
	return ""
}
