package data

import (
	"strings"

	"github.com/graftlm/graft/go/chat"
)

// specials finds the spelling of special tokens in text written by hand, where
// it would be read as the token itself.
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

// in says whether a record holds one. The end token that closes a text is
// meant.
func (s specials) in(r Record, eos string) bool {
	for _, text := range []string{r.Prompt, trimEnd(r.Completion, eos), trimEnd(r.Text, eos)} {
		if s.found(text) {
			return true
		}
	}
	for _, p := range r.Segments {
		if s.found(trimEnd(p.Text, eos)) {
			return true
		}
	}
	return s.inTurns(r.Conversation)
}

func trimEnd(text, eos string) string {
	if eos == "" {
		return text
	}
	return strings.TrimSuffix(text, eos)
}

func (s specials) inTurns(c chat.Conversation) bool {
	for _, m := range c.Messages {
		if s.found(m.Content) {
			return true
		}
	}
	return false
}

func (s specials) found(text string) bool {
	for first, tokens := range s {
		for at := 0; ; at++ {
			next := strings.IndexByte(text[at:], first)
			if next < 0 {
				break
			}
			at += next
			for _, token := range tokens {
				if strings.HasPrefix(text[at:], token) {
					return true
				}
			}
		}
	}
	return false
}
