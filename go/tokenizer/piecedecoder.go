package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// pieceDecoder is Decode of SentencePiece (sentencepiece_processor.cc).
type pieceDecoder struct {
	kinds map[string]pieceKind
	spec  *sentencePieces
}

func newPieceDecoder(s *sentencePieces) pieceDecoder {
	d := pieceDecoder{make(map[string]pieceKind, len(s.pieces)), s}
	for i, text := range s.pieces {
		d.kinds[text] = s.kinds[i]
	}
	return d
}

func (d pieceDecoder) decode(tokens []string) ([]string, error) {
	out := make([]string, 0, len(tokens))
	var pending []byte
	flush := func() {
		for len(pending) > 0 {
			r, n := utf8.DecodeRune(pending)
			out = append(out, string(r))
			pending = pending[n:]
		}
	}
	atStart := true // nothing yet but control pieces
	for _, t := range tokens {
		kind := d.kinds[t]
		if kind == bytePiece {
			b, _ := byteToken(t)
			pending = append(pending, b)
			continue
		}
		flush()
		atStart = atStart && len(out) == 0
		switch kind {
		case controlPiece:
			continue
		case unknownPiece:
			t = d.spec.unkSurface
		default:
			if atStart && (d.spec.dummyPrefix || d.spec.removeExtra) {
				rest, cut := strings.CutPrefix(t, spaceSymbol)
				t = rest
				atStart = !cut || d.spec.removeExtra
			}
			t = strings.ReplaceAll(t, spaceSymbol, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	flush()
	return out, nil
}
