package tokenizer

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
	"github.com/rivo/uniseg"
)

// charsmap is the normalizer of a SentencePiece model: a double-array trie
// (Darts) from UTF-8 to places in a text of replacements that end in NUL.
type charsmap struct {
	trie []uint32
	text string
}

// maxMappedCluster is the length in bytes from which a grapheme cluster is
// looked up by characters only.
const maxMappedCluster = 6

func parsePrecompiled(o *object) normalizer {
	var data []byte
	o.need("precompiled_charsmap", &data)
	if o.err != nil {
		return nil
	}
	m, err := readCharsmap(data)
	if err != nil {
		o.fail("%s.precompiled_charsmap: %w", o.path, err)
	}
	return m
}

// readCharsmap reads the size of the trie in bytes, the trie, the text.
func readCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, failure.Data("%d bytes are too few", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size%4 != 0 || size > uint64(len(data)) || size == 0 {
		return nil, failure.Data("a trie of %d bytes in %d", size, len(data))
	}
	m := &charsmap{trie: make([]uint32, size/4), text: string(data[size:])}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if !utf8.ValidString(m.text) {
		return nil, failure.Data("the replacements are not UTF-8")
	}
	return m, nil
}

// lookup gives what replaces a text: the value of its shortest prefix in the
// trie. So the tokenizers package does it.
func (m *charsmap) lookup(text string) (value string, ok bool) {
	m.prefixes(text, func(v string, _ int) bool {
		value, ok = v, true
		return false
	})
	return value, ok
}

// longest gives the value of the longest prefix and its length, 0 for none. So
// SentencePiece does it.
func (m *charsmap) longest(text string) (value string, size int) {
	m.prefixes(text, func(v string, n int) bool {
		value, size = v, n
		return true
	})
	return value, size
}

// prefixes calls f for the prefixes of a text that are in the trie, the
// shortest first, as long as it says true.
func (m *charsmap) prefixes(text string, f func(value string, size int) bool) {
	at := trieOffset(m.trie[0])
	for i := 0; i < len(text) && text[i] != 0; i++ {
		at ^= uint32(text[i])
		if int(at) >= len(m.trie) {
			return
		}
		unit := m.trie[at]
		if unit&(1<<31|0xFF) != uint32(text[i]) {
			return
		}
		at ^= trieOffset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int(at) >= len(m.trie) {
			return
		}
		from := int(m.trie[at] & (1<<31 - 1))
		if from > len(m.text) {
			return
		}
		value, _, _ := strings.Cut(m.text[from:], "\x00")
		if !f(value, i+1) {
			return
		}
	}
}

func trieOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

func (m *charsmap) normalize(p piece) (piece, error) {
	changes := make([]change, 0, len(p.text))
	changed := false
	for rest := p.text; rest != ""; {
		cluster := nextCluster(rest)
		rest = rest[len(cluster):]
		if err := p.grown(len(changes)); err != nil {
			return p, err
		}
		if len(cluster) < maxMappedCluster {
			if text, ok := m.lookup(cluster); ok {
				changes, changed = replaceBy(changes, cluster, text), true
				continue
			}
		}
		for _, r := range cluster {
			if text, ok := m.lookup(string(r)); ok {
				changes, changed = replaceBy(changes, string(r), text), true
			} else {
				changes = append(changes, change{r, 0})
			}
		}
	}
	if !changed {
		return p, nil
	}
	return p.transform(changes), nil
}

// nextCluster is the first grapheme cluster of a text.
func nextCluster(text string) string {
	if text[0] < utf8.RuneSelf && text[0] != '\r' && (len(text) == 1 || text[1] < utf8.RuneSelf) {
		return text[:1]
	}
	cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(text, -1)
	return cluster
}

// replaceBy appends the characters of text in place of those of old. What is
// surplus on either side is counted on the last changes, whosever they are:
// so it is upstream.
func replaceBy(changes []change, old, text string) []change {
	for _, r := range text {
		changes = append(changes, change{r, 0})
	}
	n := utf8.RuneCountInString(text) - utf8.RuneCountInString(old)
	for i := range n {
		changes[len(changes)-1-i].more = 1
	}
	if n < 0 && len(changes) > 0 {
		changes[len(changes)-1].more += n
	}
	return changes
}
