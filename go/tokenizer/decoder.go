package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type decoder interface {
	decode(tokens []string) ([]string, error)
}

type decoders []decoder

func (s decoders) decode(tokens []string) ([]string, error) {
	for _, d := range s {
		var err error
		if tokens, err = d.decode(tokens); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) ([]string, error) {
	var out []byte
	for _, t := range tokens {
		if b, ok := bytesOf(t); ok {
			out = append(out, b...)
		} else {
			out = append(out, t...)
		}
	}
	return []string{lossy(out)}, nil
}

// lossy replaces each maximal invalid part by U+FFFD (Unicode 3.9, "substitution
// of maximal subparts").
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[brokenPrefix(b):]
	}
	return out.String()
}

// brokenPrefix is the length of the longest start of a character that b opens with.
func brokenPrefix(b []byte) int {
	low, high, need := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			low = 0xA0
		} else if c == 0xED {
			high = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for ; n <= need && n < len(b) && b[n] >= low && b[n] <= high; n++ {
		low, high = 0x80, 0xBF
	}
	return n
}

// byteFallbackDecoder joins tokens like <0xE2> to characters.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) ([]string, error) {
	out := make([]string, 0, len(tokens))
	var pending []byte
	flush := func() {
		if utf8.Valid(pending) && len(pending) > 0 {
			out = append(out, string(pending))
		} else {
			for range pending {
				out = append(out, "\uFFFD")
			}
		}
		pending = pending[:0]
	}
	for _, t := range tokens {
		if b, ok := byteToken(t); ok {
			pending = append(pending, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out, nil
}

func byteToken(t string) (byte, bool) {
	if len(t) != 6 || !strings.HasPrefix(t, "<0x") || t[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(strings.TrimPrefix(t[3:5], "+"), 16, 8)
	return byte(b), err == nil
}

type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) ([]string, error) {
	return []string{strings.Join(tokens, "")}, nil
}

func (r replacer) decode(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		p, err := r.normalize(piece{text: t})
		if err != nil {
			return nil, err
		}
		out[i] = p.text
	}
	return out, nil
}

type stripDecoder struct {
	content     string
	start, stop int
}

func (s stripDecoder) decode(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		for n := 0; n < s.start && strings.HasPrefix(t, s.content); n++ {
			t = t[len(s.content):]
		}
		for n := 0; n < s.stop && strings.HasSuffix(t, s.content); n++ {
			t = t[:len(t)-len(s.content)]
		}
		out[i] = t
	}
	return out, nil
}

func (m metaspace) decode(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		space := " "
		if i == 0 && m.prepend != "never" {
			space = ""
		}
		out[i] = strings.ReplaceAll(t, m.replacement, space)
	}
	return out, nil
}

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
