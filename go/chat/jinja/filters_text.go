package jinja

import (
	"html"
	"regexp"
	"strings"
	"unicode"
)

// textFilter is a filter on str(v).
func textFilter(f func(string) string) filter {
	return filter{"", free, func(s *state, v any, _ arguments) any {
		text := s.str(v)
		s.pay(copies, text, nil)
		return f(text)
	}}
}

var markupForm = regexp.MustCompile(`(?s)<!--.*?-->|<[^>]*>`)

var textFilters = map[string]filter{
	"upper": textFilter(upper), "lower": textFilter(lower),
	"title": textFilter(titleFilter), "capitalize": textFilter(capitalize),
	"striptags": textFilter(func(text string) string {
		return html.UnescapeString(strings.Join(strings.FieldsFunc(markupForm.ReplaceAllString(text, ""), isSpace), " "))
	}),
	"trim": {"chars?", copies, func(s *state, v any, a arguments) any {
		return strip(s.str(v), a.get("chars", nil), true, true)
	}},
	"string": {"", free, func(s *state, v any, _ arguments) any {
		if safe, ok := v.(markup); ok {
			return safe
		}
		return s.str(v)
	}},
	"escape": {"", free, func(s *state, v any, _ arguments) any { return markup(s.escape(v)) }},
	"forceescape": {"", free, func(s *state, v any, _ arguments) any {
		return markup(s.escape(s.str(v)))
	}},
	"safe": {"", free, func(s *state, v any, _ arguments) any { return markup(s.str(v)) }},
	"wordcount": {"", looks, func(s *state, v any, _ arguments) any {
		return int64(len(strings.FieldsFunc(s.str(v), func(r rune) bool { return !isWord(r) })))
	}},
	"replace": {"old new count?", copies, func(s *state, v any, a arguments) any {
		count := int64(-1)
		if a.get("count", nil) != nil {
			count = a.integer("count", -1)
		}
		return s.replace(s.str(v), s.str(a.get("old", nil)), s.str(a.get("new", nil)), count)
	}},
	"format": {"* **", copies, func(s *state, v any, a arguments) any {
		if a.named.Len() == 0 {
			return s.percent(s.str(v), a.rest)
		}
		if len(a.rest) > 0 {
			fail("%s takes values by place or by name, not both", a.of)
		}
		return s.percent(s.str(v), tuple{a.named})
	}},
	"urlencode": {"", copies, urlencode},
	"xmlattr":   {"autospace?", free, xmlattr},
	"tojson":    {"ensure_ascii? indent? separators? sort_keys?", free, tojson},
	"pprint": {"", free, func(s *state, v any, _ arguments) any {
		w := writer{meter: &s.meter, sorted: true}
		w.repr(v, 0)
		if length(w.String()) > 80 {
			fail("'pprint' breaks what is longer than 80 characters into lines, which is not supported; use tojson(indent=2)")
		}
		return w.String()
	}},
}

// isWord is \w of Python's regular expressions.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// urlencode quotes a string as a path, pairs as a query.
func urlencode(s *state, v any, _ arguments) any {
	if _, ok := asString(v); ok || asBig(v) != nil {
		return s.percentEncoded(s.str(v), false)
	}
	pairs := s.iterate(v)
	if d, ok := v.(*Dict); ok {
		s.growTimes(3*cell, int64(d.Len()))
		pairs = d.pairs()
	}
	w := writer{meter: &s.meter}
	for i, item := range pairs {
		pair := s.iterate(item)
		if len(pair) != 2 {
			fail("'urlencode' needs pairs of name and value")
		}
		if i > 0 {
			w.put("&")
		}
		w.put(s.percentEncoded(s.str(pair[0]), true) + "=" + s.percentEncoded(s.str(pair[1]), true))
	}
	return w.String()
}

func (m *meter) percentEncoded(text string, query bool) string {
	const hex = "0123456789ABCDEF"
	m.scan(len(text))
	w := writer{meter: m}
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
			w.put(text[i : i+1])
		case c == ' ' && query:
			w.put("+")
		default:
			w.put("%" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		}
	}
	return w.String()
}

// xmlattr writes a dict as attributes; none and undefined values are left out.
func xmlattr(s *state, v any, a arguments) any {
	d, ok := v.(*Dict)
	if !ok {
		fail("'xmlattr' needs a dict, not %s", typeName(v))
	}
	w := writer{meter: &s.meter}
	for _, key := range d.keys {
		value, _ := d.get(key)
		if _, ok := value.(undefined); ok || value == nil {
			continue
		}
		name := s.str(key)
		if strings.ContainsFunc(name, func(r rune) bool { return isSpace(r) || strings.ContainsRune("/>=", r) }) {
			fail("'%.40s' cannot be the name of an attribute", name)
		}
		if w.Len() > 0 || truth(a.get("autospace", true)) {
			w.put(" ")
		}
		w.put(s.escape(name) + `="` + s.escape(value) + `"`)
	}
	return w.String()
}
