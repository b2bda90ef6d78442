package tokenizer

import (
	"bytes"
	"math"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// pieceKind is SentencePiece.Type of sentencepiece_model.proto.
type pieceKind int

const (
	normalPiece  pieceKind = 1
	unknownPiece pieceKind = 2
	controlPiece pieceKind = 3
	userPiece    pieceKind = 4 // always taken whole
	unusedPiece  pieceKind = 5
	bytePiece    pieceKind = 6
)

// sentencePieces is what a SentencePiece model says, with its defaults.
type sentencePieces struct {
	pieces     []string
	scores     []float32
	kinds      []pieceKind
	modelType  uint64 // 1 unigram, 2 BPE
	fallback   bool
	suffix     bool // white space at the end of words, not the start
	unkSurface string

	charsmap      []byte
	dummyPrefix   bool
	removeExtra   bool
	escapeSpaces  bool
	denormalizing bool
}

// ParseSentencePiece reads the contents of a tokenizer.model of type unigram or
// BPE (google/sentencepiece, sentencepiece_model.proto). Ids are those of its
// own encode, without <s> and </s>.
func ParseSentencePiece(data []byte) (*Tokenizer, error) {
	s := &sentencePieces{modelType: 1, unkSurface: " ⁇ ", dummyPrefix: true, removeExtra: true, escapeSpaces: true}
	m := &message{data: data}
	for f, ok := m.next(); ok; f, ok = m.next() {
		switch {
		case f.wire != 2:
		case f.number == 1:
			s.readPiece(m, f.bytes)
		case f.number == 2:
			s.readTrainer(m, f.bytes)
		case f.number == 3:
			s.readNormalizer(m, f.bytes)
		case f.number == 5:
			in := &message{data: f.bytes}
			for g, ok := in.next(); ok; g, ok = in.next() {
				s.denormalizing = s.denormalizing || g.number == 2 && len(g.bytes) > 0
			}
			m.adopt(in)
		}
	}
	if m.err != nil {
		return nil, m.err
	}
	return s.tokenizer(bytes.Clone(data))
}

// adopt takes over the error of a message inside.
func (m *message) adopt(in *message) {
	if m.err == nil {
		m.err = in.err
	}
}

func (s *sentencePieces) readPiece(m *message, data []byte) {
	in := &message{data: data}
	text, score, kind := "", float32(0), normalPiece
	for f, ok := in.next(); ok; f, ok = in.next() {
		switch {
		case f.number == 1 && f.wire == 2:
			text = string(f.bytes)
		case f.number == 2 && f.wire == 5:
			score = f.float()
		case f.number == 3 && f.wire == 0:
			kind = pieceKind(f.value)
		}
	}
	if len(text) > maxFound {
		in.fail("piece %d has %d bytes; at most %d are read", len(s.pieces), len(text), maxFound)
	}
	if text == "" || !utf8.ValidString(text) || kind < normalPiece || kind > bytePiece || score != score {
		in.fail("piece %d: %q of type %d and score %g is not valid", len(s.pieces), text, kind, score)
	}
	m.adopt(in)
	s.pieces, s.scores, s.kinds = append(s.pieces, text), append(s.scores, score), append(s.kinds, kind)
}

func (s *sentencePieces) readTrainer(m *message, data []byte) {
	in := &message{data: data}
	for f, ok := in.next(); ok; f, ok = in.next() {
		switch f.number {
		case 3:
			s.modelType = f.value
		case 24:
			s.suffix = f.value != 0
		case 35:
			s.fallback = f.value != 0
		case 44:
			s.unkSurface = string(f.bytes)
		}
	}
	m.adopt(in)
}

func (s *sentencePieces) readNormalizer(m *message, data []byte) {
	in := &message{data: data}
	for f, ok := in.next(); ok; f, ok = in.next() {
		switch f.number {
		case 2:
			s.charsmap = f.bytes
		case 3:
			s.dummyPrefix = f.value != 0
		case 4:
			s.removeExtra = f.value != 0
		case 5:
			s.escapeSpaces = f.value != 0
		}
	}
	m.adopt(in)
}

// tokenizer builds the components.
func (s *sentencePieces) tokenizer(source []byte) (*Tokenizer, error) {
	if s.modelType != 1 && s.modelType != 2 {
		return nil, failure.Data("trainer_spec.model_type: %d is neither unigram (1) nor BPE (2)", s.modelType)
	}
	if s.denormalizing {
		return nil, failure.Data("denormalizer_spec.precompiled_charsmap is not supported")
	}
	v := &addedVocabulary{ids: map[string]int32{}, tokens: map[int32]addedToken{}, normal: map[int32]string{}, special: map[string]bool{}}
	unk := int32(-1)
	var user []trieEntry
	seen := make(map[string]bool, len(s.pieces))
	for i, text := range s.pieces {
		id := int32(i)
		if seen[text] {
			return nil, failure.Data("piece %d: %q is there twice", i, text)
		}
		seen[text] = true
		switch s.kinds[i] {
		case unknownPiece:
			if unk >= 0 {
				return nil, failure.Data("pieces %d and %d are both the unknown one", unk, id)
			}
			unk = id
		case controlPiece:
			v.ids[text], v.tokens[id], v.special[text] = id, addedToken{Content: text, Special: true}, true
		case userPiece:
			user = append(user, trieEntry{text, id})
		case bytePiece:
			if _, ok := byteToken(text); !ok {
				return nil, failure.Data("piece %d: %q is not a byte", i, text)
			}
		}
	}
	if unk < 0 {
		return nil, failure.Data("no piece is the unknown one")
	}
	n := &pieceNormalizer{user: newTrie(user), spec: s}
	if len(s.charsmap) > 0 {
		var err error
		if n.charsmap, err = readCharsmap(s.charsmap); err != nil {
			return nil, failure.Data("normalizer_spec.precompiled_charsmap: %w", err)
		}
	}
	t := &Tokenizer{source: source, normalizer: n, decoder: newPieceDecoder(s), added: v, size: len(s.pieces)}
	if s.modelType == 2 {
		t.model = newPieceBPE(s, unk, n.user)
	} else {
		t.model = newPieceUnigram(s, unk)
	}
	return t, nil
}

// newPieceUnigram differs from the model of tokenizer.json: pieces that are not
// normal or the user's are not found in text, and sums are kept in float32.
func newPieceUnigram(s *sentencePieces, unk int32) *unigram {
	low := float32(math.MaxFloat32)
	for i, score := range s.scores {
		if s.kinds[i] == normalPiece {
			low = min(low, score)
		}
	}
	m := &unigram{tokens: s.pieces, scores: make([]float64, len(s.pieces)), ids: make(map[string]int32, len(s.pieces)), unk: unk, single: true}
	var entries []trieEntry
	for i, text := range s.pieces {
		m.ids[text] = int32(i)
		m.scores[i] = float64(s.scores[i])
		switch s.kinds[i] {
		case userPiece:
			m.scores[i] = float64(0.1 * float32(len(text)-1)) // beyond any probability, so always taken
			fallthrough
		case normalPiece:
			entries = append(entries, trieEntry{text, int32(i)})
		}
	}
	m.unkScore = float64(low - unkPenalty)
	m.trie = newTrie(entries)
	if s.fallback {
		m.bytes = byteIDs(m.ids)
	}
	return m
}
