package tokenizer

import (
	"encoding/json"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// model cuts a word into tokens of a vocabulary.
type model interface {
	// tokenize appends the tokens of a piece to an encoding.
	tokenize(p piece, e *Encoding) error
	id(token string) (int32, bool)
	token(id int32) (string, bool)
	// size is the number of tokens, which added tokens are counted from.
	size() int
	// top is the largest id plus one.
	top() int
}

func parseModel(raw json.RawMessage) (model, error) {
	o := open("model", raw)
	var kind string
	if !o.get("type", &kind) {
		kind = untagged(o)
	}
	switch kind {
	case "BPE":
		return parseBPE(o)
	case "Unigram":
		return parseUnigram(o)
	case "WordPiece":
		return parseWordPiece(o)
	case "WordLevel":
		return parseWordLevel(o)
	}
	o.fail("model: type %q is not supported", kind)
	return nil, o.err
}

// untagged finds the type of a model of old files, which do not name it.
func untagged(o *object) string {
	for _, has := range [][2]string{{"merges", "BPE"}, {"max_input_chars_per_word", "WordPiece"}, {"unk_token", "WordLevel"}} {
		if _, ok := o.keys[has[0]]; ok {
			return has[1]
		}
	}
	return "Unigram"
}

// vocabulary maps tokens and ids both ways.
type vocabulary struct {
	ids    map[string]int32
	tokens []string // by id; holes are empty
	holes  map[int32]bool
}

func (v *vocabulary) id(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

func (v *vocabulary) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(v.tokens) || v.holes[id] {
		return "", false
	}
	return v.tokens[id], true
}

func (v *vocabulary) size() int { return len(v.ids) }
func (v *vocabulary) top() int  { return len(v.tokens) }

// maxHoles bounds how far ids may reach beyond the number of tokens.
const maxHoles = 1 << 20

// newVocabulary checks that each id belongs to one token.
func newVocabulary(ids map[string]int32) (vocabulary, error) {
	v := vocabulary{ids: ids, holes: map[int32]bool{}}
	top := 0
	for text, id := range ids {
		if id < 0 || int(id) >= len(ids)+maxHoles {
			return v, failure.Data("model.vocab: id %d of %q is not in [0, %d)", id, text, len(ids)+maxHoles)
		}
		top = max(top, int(id)+1)
	}
	v.tokens = make([]string, top)
	taken := make([]bool, top)
	for text, id := range ids {
		if taken[id] {
			other := v.tokens[id]
			return v, failure.Data("model.vocab: %q and %q have the same id %d", min(text, other), max(text, other), id)
		}
		v.tokens[id], taken[id] = text, true
	}
	for at := 0; ; at++ {
		n := slices.Index(taken[at:], false)
		if n < 0 {
			return v, nil
		}
		at += n
		v.holes[int32(at)] = true
	}
}

// unknown is the id of a model's unknown token.
func (v *vocabulary) unknownID(token string) (int32, error) {
	id, ok := v.ids[token]
	if !ok {
		return 0, failure.Data("model.unk_token: %q is not in the vocabulary", token)
	}
	return id, nil
}
