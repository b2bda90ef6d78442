package tokenizer

import "strings"

// Stream decodes ids one by one, giving only whole characters. It is not safe
// for concurrent use.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	ids         []int32
	read        int // how many ids the last text given stems from
}

// Stream starts decoding a sequence.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream { return &Stream{t: t, skipSpecial: skipSpecial} }

// Push takes the next id and gives the text that is now certain, perhaps none.
func (s *Stream) Push(id int32) string {
	s.ids = append(s.ids, id)
	text, whole := s.fresh()
	if text == "" || !whole {
		return ""
	}
	// The ids of this text stay as context for the next, since a decoder may
	// treat the first token in another way.
	s.ids = append(s.ids[:0], s.ids[s.read:]...)
	s.read = len(s.ids)
	return text
}

// Flush gives what Push held back, with U+FFFD for incomplete characters.
func (s *Stream) Flush() string {
	text, _ := s.fresh()
	s.ids, s.read = nil, 0
	return text
}

// fresh is the text beyond what was given; false if it ends inside a character.
func (s *Stream) fresh() (string, bool) {
	before, _ := s.t.Decode(s.ids[:s.read], s.skipSpecial)
	now, _ := s.t.Decode(s.ids, s.skipSpecial)
	if len(now) <= len(before) {
		return "", false
	}
	return now[len(before):], !strings.HasSuffix(now, "\uFFFD")
}
