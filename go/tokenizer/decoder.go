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
	left := allow("decoder", lengths(tokens))
	for _, d := range s {
		var err error
		if tokens, err = d.decode(tokens); err != nil {
			return nil, err
		}
		if err = left.spend(lengths(tokens)); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// lengths counts bytes, and one for each token.
func lengths(tokens []string) int {
	n := len(tokens)
	for _, t := range tokens {
		n += len(t)
	}
	return n
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
		s := stripDecoder{content: o.char("content")}
		o.need("start", &s.start)
		o.need("stop", &s.stop)
		return s
	case "WordPiece":
		var w wordPieceDecoder
		o.need("prefix", &w.prefix)
		o.need("cleanup", &w.cleanup)
		return w
	case "BPEDecoder":
		var suffix string
		o.need("suffix", &suffix)
		return suffixDecoder(suffix)
	case "CTC":
		var c ctcDecoder
		o.need("pad_token", &c.pad)
		o.need("word_delimiter_token", &c.delimiter)
		o.need("cleanup", &c.cleanup)
		return c
	case "Metaspace":
		return parseMetaspace(o)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
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
	left, size := allow("decoder", lengths(tokens)), 0
	for i, t := range tokens {
		p, err := r.normalize(piece{text: t})
		if err != nil {
			return nil, err
		}
		out[i] = p.text
		if size += len(p.text); size > left.size {
			return nil, left.spend(size)
		}
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

// wordPieceDecoder puts spaces before tokens that begin a word.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (w wordPieceDecoder) decode(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(t, w.prefix); ok {
				t = rest
			} else {
				t = " " + t
			}
		}
		if w.cleanup {
			t = cleanUp(t)
		}
		out[i] = t
	}
	return out, nil
}

// cleanUp is clean_up_tokenization of transformers: one rule after another.
func cleanUp(text string) string {
	for _, rule := range [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		text = strings.ReplaceAll(text, rule[0], rule[1])
	}
	return text
}

// suffixDecoder makes spaces of end_of_word_suffix, none after the last token.
type suffixDecoder string

func (d suffixDecoder) decode(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		space := " "
		if i == len(tokens)-1 {
			space = ""
		}
		out[i] = strings.ReplaceAll(t, string(d), space)
	}
	return out, nil
}

// ctcDecoder joins repeated tokens and drops the blank (Graves et al., 2006).
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (c ctcDecoder) decode(tokens []string) ([]string, error) {
	var out []string
	for i, t := range tokens {
		if i > 0 && t == tokens[i-1] {
			continue
		}
		t = strings.ReplaceAll(t, c.pad, "")
		if c.cleanup {
			t = strings.ReplaceAll(cleanUp(t), c.delimiter, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out, nil
}
