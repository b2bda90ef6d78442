package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer is the BasicTokenizer of BERT before its splits.
type bertNormalizer struct {
	clean, chinese, accents, lower bool
}

func parseBertNormalizer(o *object) bertNormalizer {
	var b bertNormalizer
	o.need("clean_text", &b.clean)
	o.need("handle_chinese_chars", &b.chinese)
	o.need("lowercase", &b.lower)
	if !o.get("strip_accents", &b.accents) {
		b.accents = b.lower
	}
	return b
}

func (b bertNormalizer) normalize(p piece) (piece, error) {
	if b.clean {
		p = p.each(clean)
	}
	if b.chinese {
		p = p.each(func(r rune) (string, bool) { return " " + string(r) + " ", isChinese(r) })
	}
	if b.accents {
		var err error
		if p, err = form(norm.NFD).normalize(p); err != nil {
			return p, err
		}
		p = p.each(drop(func(r rune) bool { return r >= utf8.RuneSelf && classOf(r)&isNonspacing != 0 }))
	}
	if b.lower {
		p = p.each(toLower)
	}
	return p, nil
}

// clean drops control characters and makes white space plain.
func clean(r rune) (string, bool) {
	switch {
	case ' ' <= r && r < 0x7F:
		return "", false
	case r == '\t', r == '\n', r == '\r':
		return " ", true
	case classOf(r)&isControl != 0:
		return "", true
	}
	return " ", unicode.IsSpace(r)
}

func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, 0x4E00 <= r && r <= 0x9FFF, 0xF900 <= r && r <= 0xFAFF, 0x20000 <= r && r <= 0x2A6DF,
		0x2A700 <= r && r <= 0x2B73F, 0x2B740 <= r && r <= 0x2B81F, 0x2B920 <= r && r <= 0x2CEAF, 0x2F800 <= r && r <= 0x2FA1F:
		return true
	}
	return false
}
