package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// symbols are the characters of a word as ids, with byte fallback and unknown
// tokens. A byte fallback does not end a run of unknown characters: so it is upstream.
func (m *bpe) symbols(word string) ([]part, error) {
	s := make([]part, 0, len(word))
	unk := part{id: -1}
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		text := word[i : i+n]
		if i > 0 {
			text = m.prefix + text
		}
		if i+n == len(word) {
			text += m.suffix
		}
		i += n
		id, ok := m.ids[text]
		if !ok {
			if m.byteFallback {
				if ids, ok := m.fallback(text); ok {
					s = append(s, ids...)
					continue
				}
			}
			if err := m.unknown(&s, &unk, int32(n)); err != nil {
				return nil, err
			}
			continue
		}
		if unk.id >= 0 {
			s = append(s, unk)
			unk.id = -1
		}
		s = append(s, part{id, int32(n)})
	}
	if unk.id >= 0 {
		s = append(s, unk)
	}
	return s, nil
}

func (m *bpe) rawSymbols(word string) ([]part, error) {
	s := make([]part, 0, len(word))
	unk := part{id: -1}
	for i := range len(word) {
		id := m.byteID[word[i]]
		if id < 0 {
			if err := m.unknown(&s, &unk, 1); err != nil {
				return nil, err
			}
			continue
		}
		if unk.id >= 0 {
			s = append(s, unk)
			unk.id = -1
		}
		s = append(s, part{id, 1})
	}
	if unk.id >= 0 {
		s = append(s, unk)
	}
	return s, nil
}

// unknown lengthens the pending unknown token or starts one. Without an
// unknown token the character is dropped, as upstream does.
func (m *bpe) unknown(s *[]part, pending *part, n int32) error {
	if m.unk == nil {
		return nil
	}
	if pending.id >= 0 && m.fuseUnk {
		pending.length += n
		return nil
	}
	if pending.id >= 0 {
		*s = append(*s, *pending)
	}
	id, err := m.unknownID(*m.unk)
	if err != nil {
		return err
	}
	*pending = part{id, n}
	return nil
}

func (m *bpe) fallback(text string) ([]part, bool) {
	parts := make([]part, len(text))
	for i := range len(text) {
		id, ok := m.ids[fmt.Sprintf("<0x%02X>", text[i])]
		if !ok {
			return nil, false
		}
		parts[i] = part{id, 1}
	}
	return parts, true
}
