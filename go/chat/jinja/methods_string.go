package jinja

import (
	"strings"
	"unicode"
)

// method is a string method. Those that make more than a copy of their input
// pay for the rest themselves.
type method struct {
	params string
	call   func(s *state, text string, a arguments) any
}

func stringMethod(text, name string) (any, bool) {
	m, ok := stringMethods[name]
	if !ok {
		return nil, false
	}
	return builtin{name, m.params, func(s *state, a arguments) any {
		s.pay(copies, text, a.values)
		return m.call(s, text, a)
	}}, true
}

func mapped(f func(string) string) method {
	return method{"", func(_ *state, text string, _ arguments) any { return f(text) }}
}

// every is a method that tells whether all characters are of one class.
func every(class func(rune) bool) method {
	return method{"", func(_ *state, text string, _ arguments) any {
		return text != "" && strings.IndexFunc(text, func(r rune) bool { return !class(r) }) < 0
	}}
}

func stripped(left, right bool) method {
	return method{"chars?", func(_ *state, text string, a arguments) any {
		return strip(text, a.get("chars", nil), left, right)
	}}
}

// affix is startswith or endswith; it takes a tuple of alternatives too.
func affix(has func(string, string) bool) method {
	return method{"affix", func(s *state, text string, a arguments) any {
		if many, ok := a.get("affix", nil).(tuple); ok {
			for _, one := range many {
				part, ok := asString(one)
				if !ok {
					fail("%s needs strings, not %s", a.of, typeName(one))
				}
				s.scan(len(part))
				if has(text, part) {
					return true
				}
			}
			return false
		}
		return has(text, a.text("affix", ""))
	}}
}

// finder is find, rfind, index or rindex, in characters.
func finder(find func(string, string) int, must bool) method {
	return method{"part", func(_ *state, text string, a arguments) any {
		i := find(text, a.text("part", ""))
		if i < 0 && must {
			fail("%s: the part is not in the string", a.of)
		}
		if i > 0 {
			return length(text[:i])
		}
		return int64(i)
	}}
}

func padded(left, right bool) method {
	return method{"width fillchar?", func(s *state, text string, a arguments) any {
		fill := a.text("fillchar", " ")
		if length(fill) != 1 {
			fail("%s: the fill must be one character", a.of)
		}
		return s.pad(text, a.integer("width", 0), left, right, fill)
	}}
}

func splitter(right bool) method {
	return method{"sep? maxsplit?", func(s *state, text string, a arguments) any {
		limit := a.integer("maxsplit", -1)
		if a.get("sep", nil) == nil {
			return s.fields(text, limit, right)
		}
		sep := a.text("sep", "")
		if sep == "" {
			fail("%s: the separator is empty", a.of)
		}
		return s.split(text, sep, limit, right)
	}}
}

func partitioner(find func(string, string) int, right bool) method {
	return method{"sep", func(_ *state, text string, a arguments) any {
		sep := a.text("sep", "")
		if sep == "" {
			fail("%s: the separator is empty", a.of)
		}
		if i := find(text, sep); i >= 0 {
			return tuple{text[:i], sep, text[i+len(sep):]}
		}
		if right {
			return tuple{"", "", text}
		}
		return tuple{text, "", ""}
	}}
}

var stringMethods = map[string]method{
	"strip": stripped(true, true), "lstrip": stripped(true, false), "rstrip": stripped(false, true),
	"upper": mapped(upper), "lower": mapped(lower), "casefold": mapped(folded),
	"title": mapped(titleWords), "capitalize": mapped(capitalize), "swapcase": mapped(swapCase),
	"isdigit": every(unicode.IsDigit), "isnumeric": every(unicode.IsNumber), "isdecimal": every(unicode.IsDigit),
	"isalpha": every(unicode.IsLetter), "isspace": every(isSpace),
	"isalnum":    every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isupper":    {"", func(_ *state, text string, _ arguments) any { return isUpper(text) }},
	"islower":    {"", func(_ *state, text string, _ arguments) any { return isLower(text) }},
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"removeprefix": {"prefix", func(_ *state, text string, a arguments) any {
		return strings.TrimPrefix(text, a.text("prefix", ""))
	}},
	"removesuffix": {"suffix", func(_ *state, text string, a arguments) any {
		return strings.TrimSuffix(text, a.text("suffix", ""))
	}},
	"find": finder(strings.Index, false), "rfind": finder(strings.LastIndex, false),
	"index": finder(strings.Index, true), "rindex": finder(strings.LastIndex, true),
	"count": {"part", func(_ *state, text string, a arguments) any {
		return int64(strings.Count(text, a.text("part", "")))
	}},
	"replace": {"old new count?", func(s *state, text string, a arguments) any {
		return s.replace(text, a.text("old", ""), a.text("new", ""), a.integer("count", -1))
	}},
	"split": splitter(false), "rsplit": splitter(true),
	"splitlines": {"", func(s *state, text string, _ arguments) any { return s.lines(text) }},
	"partition":  partitioner(strings.Index, false), "rpartition": partitioner(strings.LastIndex, true),
	"join": {"items", func(s *state, text string, a arguments) any {
		var b strings.Builder
		for i, item := range s.iterate(a.get("items", nil)) {
			part, ok := asString(item)
			if !ok {
				fail("%s needs strings, not %s", a.of, typeName(item))
			}
			s.step()
			s.grow(len(part) + len(text))
			if i > 0 {
				b.WriteString(text)
			}
			b.WriteString(part)
		}
		return b.String()
	}},
	"zfill": {"width", func(s *state, text string, a arguments) any {
		sign := ""
		if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
			sign, text = text[:1], text[1:]
		}
		return sign + s.pad(text, a.integer("width", 0)-int64(len(sign)), true, false, "0")
	}},
	"center": padded(true, true), "ljust": padded(false, true), "rjust": padded(true, false),
	"format": {"* **", func(s *state, text string, a arguments) any { return s.format(text, a) }},
}
