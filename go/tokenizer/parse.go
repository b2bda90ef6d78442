package tokenizer

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
	"golang.org/x/text/unicode/norm"
)

const (
	maxDepth = 32      // of Sequence components
	maxID    = 1 << 24 // far beyond any vocabulary
)

// object reads a JSON object key by key; a key that nobody asked for is an error.
type object struct {
	path string
	keys map[string]json.RawMessage
	err  error
}

func open(path string, raw json.RawMessage) *object {
	o := &object{path: path}
	if err := json.Unmarshal(raw, &o.keys); err != nil {
		o.err = failure.Data("%s: want an object: %w", path, err)
	}
	return o
}

// get fills value from a key, false if the key is absent or null.
func (o *object) get(key string, value any) bool {
	raw, ok := o.keys[key]
	delete(o.keys, key)
	if !ok || bytes.Equal(raw, []byte("null")) {
		return false
	}
	if err := json.Unmarshal(raw, value); err != nil && o.err == nil {
		o.err = failure.Data("%s.%s: %w", o.path, key, err)
	}
	return true
}

func (o *object) need(key string, value any) {
	if !o.get(key, value) && o.err == nil {
		o.err = failure.Data("%s.%s is missing", o.path, key)
	}
}

func (o *object) fail(format string, a ...any) {
	if o.err == nil {
		o.err = failure.Data(format, a...)
	}
}

func (o *object) close() error {
	if o.err == nil && len(o.keys) > 0 {
		o.err = failure.Data("%s: unknown field %q", o.path, slices.Sorted(maps.Keys(o.keys))[0])
	}
	return o.err
}

// Parse reads the contents of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	t := &Tokenizer{source: bytes.Clone(data)}
	o := open("tokenizer", data)
	var version string
	var skipped, normal, pre, post, dec, model json.RawMessage
	var added []json.RawMessage
	if o.get("version", &version) && version != "1.0" {
		o.fail("tokenizer.version: %q is not known, want \"1.0\"", version)
	}
	o.get("truncation", &skipped)
	o.get("padding", &skipped)
	o.get("added_tokens", &added)
	o.get("normalizer", &normal)
	o.get("pre_tokenizer", &pre)
	o.get("post_processor", &post)
	o.get("decoder", &dec)
	o.need("model", &model)
	if err := o.close(); err != nil {
		return nil, err
	}
	var err error
	if t.normalizer, err = component("normalizer", normal, 0, parseNormalizer); err != nil {
		return nil, err
	}
	if t.preTokenizer, err = component("pre_tokenizer", pre, 0, parsePreTokenizer); err != nil {
		return nil, err
	}
	if t.post, err = component("post_processor", post, 0, parsePost); err != nil {
		return nil, err
	}
	if t.decoder, err = component("decoder", dec, 0, parseDecoder); err != nil {
		return nil, err
	}
	if t.model, err = parseBPE(open("model", model)); err != nil {
		return nil, err
	}
	t.model.finish(deferBytes(t.preTokenizer, t.model))
	if err = t.parseAdded(added); err != nil {
		return nil, err
	}
	for id := range t.model.tokens {
		t.size = max(t.size, int(id)+1)
	}
	for id := range t.added.tokens {
		t.size = max(t.size, int(id)+1)
	}
	return t, nil
}

// deferBytes lets the model apply the byte-level alphabet where that is the
// last step before it.
func deferBytes(p preTokenizer, m *bpe) bool {
	if s, ok := p.(preTokenizers); ok && len(s) > 0 {
		p = s[len(s)-1]
	}
	b, ok := p.(*byteLevel)
	if !ok || m.byteFallback || m.prefix != "" || m.suffix != "" {
		return false
	}
	b.rewrite = false
	return true
}

func component[T any](path string, raw json.RawMessage, depth int, parse func(kind string, o *object, depth int) T) (out T, err error) {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return out, nil
	}
	o := open(path, raw)
	if depth > maxDepth {
		o.fail("%s: more than %d nested components", path, maxDepth)
	}
	var kind string
	o.need("type", &kind)
	if o.err == nil {
		out = parse(kind, o, depth)
	}
	return out, o.close()
}

// list reads the members of a Sequence.
func list[T any](o *object, key string, depth int, parse func(string, *object, int) T) []T {
	var raw []json.RawMessage
	o.need(key, &raw)
	var out []T
	for _, r := range raw {
		c, err := component(o.path+"."+key, r, depth+1, parse)
		if err != nil {
			o.fail("%w", err)
			break
		}
		out = append(out, c)
	}
	return out
}

func parseNormalizer(kind string, o *object, depth int) normalizer {
	switch kind {
	case "Sequence":
		return normalizers(list(o, "normalizers", depth, parseNormalizer))
	case "Prepend":
		var text string
		o.need("prepend", &text)
		return prependNormalizer(text)
	case "Replace":
		return parseReplace(o)
	case "NFC":
		return form(norm.NFC)
	case "NFD":
		return form(norm.NFD)
	case "NFKC":
		return form(norm.NFKC)
	case "NFKD":
		return form(norm.NFKD)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

func parseReplace(o *object) replacer {
	var r replacer
	o.need("content", &r.content)
	r.pattern = parsePattern(o)
	return r
}

func parsePattern(o *object) pattern {
	var raw json.RawMessage
	o.need("pattern", &raw)
	if o.err != nil {
		return nil
	}
	var text, expr string
	in := open(o.path+".pattern", raw)
	isText, isExpr := in.get("String", &text), in.get("Regex", &expr)
	if isText == isExpr {
		in.fail("%s: want either String or Regex", in.path)
	}
	if err := in.close(); err != nil {
		o.fail("%w", err)
		return nil
	}
	if isText {
		return literal(text)
	}
	p, err := compile(expr)
	if err != nil {
		o.fail("%s: %w", o.path, err)
	}
	return p
}

func parsePreTokenizer(kind string, o *object, depth int) preTokenizer {
	switch kind {
	case "Sequence":
		return preTokenizers(list(o, "pretokenizers", depth, parsePreTokenizer))
	case "ByteLevel":
		b := &byteLevel{rewrite: true}
		prefixSpace, _, useRegex := parseByteLevel(o)
		b.prefixSpace = prefixSpace
		if useRegex {
			b.pattern = scanner(gpt2End)
		}
		return b
	case "Split":
		var s splitter
		o.need("behavior", &s.behavior)
		o.need("invert", &s.invert)
		s.pattern = parsePattern(o)
		known := []string{removed, isolated, mergedWithPrevious, mergedWithNext, contiguous}
		if !slices.Contains(known, s.behavior) {
			o.fail("%s.behavior: %q is not one of %s", o.path, s.behavior, strings.Join(known, ", "))
		}
		return s
	case "Digits":
		var individual bool
		o.need("individual_digits", &individual)
		return digits(individual)
	case "Metaspace":
		return parseMetaspace(o)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

func parseByteLevel(o *object) (prefixSpace, trim, useRegex bool) {
	useRegex = true
	o.need("add_prefix_space", &prefixSpace)
	o.need("trim_offsets", &trim)
	o.get("use_regex", &useRegex)
	return prefixSpace, trim, useRegex
}

func parseMetaspace(o *object) metaspace {
	m := metaspace{prepend: "always", cut: true}
	var old string
	prefix := true
	o.need("replacement", &m.replacement)
	o.get("str_rep", &old)
	o.get("prepend_scheme", &m.prepend)
	o.get("split", &m.cut)
	if o.get("add_prefix_space", &prefix) && !prefix && m.prepend != "never" {
		o.fail("%s: add_prefix_space false contradicts prepend_scheme %q", o.path, m.prepend)
	}
	if !slices.Contains([]string{"always", "first", "never"}, m.prepend) {
		o.fail("%s.prepend_scheme: %q is not one of always, first, never", o.path, m.prepend)
	}
	if len([]rune(m.replacement)) != 1 {
		o.fail("%s.replacement: want one character, got %q", o.path, m.replacement)
	}
	return m
}

func parsePost(kind string, o *object, depth int) []postProcessor {
	switch kind {
	case "Sequence":
		return slices.Concat(list(o, "processors", depth, parsePost)...)
	case "ByteLevel":
		prefixSpace, trim, _ := parseByteLevel(o)
		if trim {
			return []postProcessor{trimOffsets{prefixSpace}}
		}
		return nil
	case "TemplateProcessing":
		return []postProcessor{parseTemplates(o)}
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

type templatePlace struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

func parseTemplates(o *object) templates {
	var single, pair []map[string]templatePlace
	var special map[string]struct {
		ID     string   `json:"id"`
		IDs    []int32  `json:"ids"`
		Tokens []string `json:"tokens"`
	}
	o.need("single", &single)
	o.need("pair", &pair)
	o.need("special_tokens", &special)
	resolve := func(key string, places []map[string]templatePlace, sequences int) []template {
		var out []template
		for _, place := range places {
			seq, isSeq := place["Sequence"]
			tok, isTok := place["SpecialToken"]
			s, known := special[tok.ID]
			switch {
			case isSeq && len(place) == 1 && seq.ID == "A":
				out = append(out, template{0, nil, seq.TypeID})
			case isSeq && len(place) == 1 && seq.ID == "B" && sequences == 2:
				out = append(out, template{1, nil, seq.TypeID})
			case isTok && len(place) == 1 && known:
				out = append(out, template{-1, s.IDs, tok.TypeID})
			default:
				o.fail("%s.%s: %v is neither a sequence nor one of special_tokens", o.path, key, place)
			}
		}
		return out
	}
	return templates{resolve("single", single, 1), resolve("pair", pair, 2)}
}

func parseDecoder(kind string, o *object, depth int) decoder {
	switch kind {
	case "Sequence":
		return decoders(list(o, "decoders", depth, parseDecoder))
	case "ByteLevel":
		parseByteLevel(o)
		return byteLevelDecoder{}
	case "ByteFallback":
		return byteFallbackDecoder{}
	case "Fuse":
		return fuseDecoder{}
	case "Replace":
		return parseReplace(o)
	case "Strip":
		var s stripDecoder
		o.need("content", &s.content)
		o.need("start", &s.start)
		o.need("stop", &s.stop)
		if len([]rune(s.content)) != 1 {
			o.fail("%s.content: want one character, got %q", o.path, s.content)
		}
		return s
	case "Metaspace":
		return parseMetaspace(o)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

func parseBPE(o *object) (*bpe, error) {
	m := &bpe{}
	var kind string
	var dropout float64
	var merges []json.RawMessage
	if o.get("type", &kind) && kind != "BPE" {
		o.fail("model: type %q is not supported", kind)
		return nil, o.err
	}
	if o.get("dropout", &dropout) {
		o.fail("model.dropout: %g makes encoding random; set it to null", dropout)
	}
	var unk string
	if o.get("unk_token", &unk) {
		m.unk = &unk
	}
	o.get("continuing_subword_prefix", &m.prefix)
	o.get("end_of_word_suffix", &m.suffix)
	o.get("fuse_unk", &m.fuseUnk)
	o.get("byte_fallback", &m.byteFallback)
	o.get("ignore_merges", &m.ignoreMerges)
	o.need("vocab", &m.vocab)
	o.need("merges", &merges)
	if err := o.close(); err != nil {
		return nil, err
	}
	m.tokens = make(map[int32]string, len(m.vocab))
	for text, id := range m.vocab {
		if id < 0 || id >= maxID {
			return nil, failure.Data("model.vocab: id %d of %q is not in [0, %d)", id, text, maxID)
		}
		if other, ok := m.tokens[id]; ok {
			return nil, failure.Data("model.vocab: %q and %q have the same id %d", min(text, other), max(text, other), id)
		}
		m.tokens[id] = text
	}
	return m, m.readMerges(merges)
}

// readMerges takes both spellings: ["a", "b"] and "a b".
func (m *bpe) readMerges(merges []json.RawMessage) error {
	m.merges = make(map[uint64]merge, len(merges))
	rank := int32(0)
	for i, raw := range merges {
		var pair []string
		if json.Unmarshal(raw, &pair) != nil {
			var line string
			if err := json.Unmarshal(raw, &line); err != nil {
				return failure.Data("model.merges[%d]: %w", i, err)
			}
			if strings.HasPrefix(line, "#version") {
				continue
			}
			pair = strings.Split(line, " ")
		}
		if len(pair) != 2 {
			return failure.Data("model.merges[%d]: want two tokens, got %d", i, len(pair))
		}
		a, okA := m.vocab[pair[0]]
		b, okB := m.vocab[pair[1]]
		id, ok := m.vocab[pair[0]+strings.TrimPrefix(pair[1], m.prefix)]
		if !okA || !okB || !ok {
			return failure.Data("model.merges[%d]: %q and %q or their union are not in the vocabulary", i, pair[0], pair[1])
		}
		m.merges[pairOf(a, b)] = merge{rank, id}
		rank++
	}
	return nil
}

func (t *Tokenizer) parseAdded(list []json.RawMessage) error {
	v := &addedVocabulary{
		ids: map[string]int32{}, tokens: map[int32]addedToken{},
		normal: map[int32]string{}, special: map[string]bool{},
	}
	t.added = v
	for _, raw := range list {
		var a addedToken
		id := int32(-1)
		o := open("added_tokens", raw)
		o.need("id", &id)
		o.need("content", &a.Content)
		o.need("single_word", &a.SingleWord)
		o.need("lstrip", &a.LStrip)
		o.need("rstrip", &a.RStrip)
		o.need("normalized", &a.Normalized)
		o.need("special", &a.Special)
		if err := o.close(); err != nil {
			return err
		}
		if a.Content == "" {
			continue
		}
		if id < 0 || id >= maxID {
			return failure.Data("added_tokens: id %d of %q is not in [0, %d)", id, a.Content, maxID)
		}
		if known, ok := t.ID(a.Content); ok && known != id {
			return failure.Data("added_tokens: %q has id %d, but %d in the vocabulary", a.Content, id, known)
		}
		if text, ok := t.Token(id); ok && text != a.Content {
			return failure.Data("added_tokens: id %d of %q already belongs to %q", id, a.Content, text)
		}
		v.ids[a.Content], v.tokens[id] = id, a
		if a.Special {
			v.special[a.Content] = true
		}
		if a.Normalized && t.normalizer != nil {
			p, err := t.normalizer.normalize(piece{text: a.Content})
			if err != nil {
				return err
			}
			if p.text != a.Content {
				v.normal[id] = p.text
			}
		}
	}
	v.build()
	return nil
}
