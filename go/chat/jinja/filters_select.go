package jinja

import (
	"slices"
	"strings"
)

var selectFilters = map[string]filter{
	"map":    {"* **", copies, mapFilter},
	"select": selector(false, true), "reject": selector(false, false),
	"selectattr": selector(true, true), "rejectattr": selector(true, false),
	"sort": {"reverse? case_sensitive? attribute?", copies, func(s *state, v any, a arguments) any {
		items := s.iterate(v)
		return s.sorted(items, s.keyed(items, a.get("attribute", nil), a.truth("case_sensitive")), a.truth("reverse"))
	}},
	"dictsort": {"case_sensitive? by? reverse?", copies, dictsort},
	"unique": {"case_sensitive? attribute?", copies, func(s *state, v any, a arguments) any {
		items, seen, out := s.iterate(v), NewDict(), generator{}
		for i, key := range s.keyed(items, a.get("attribute", nil), a.truth("case_sensitive")) {
			s.scan(weight(key))
			if _, ok := seen.get(key); !ok {
				s.grow(4 * cell)
				s.set(seen, key, true)
				out = append(out, items[i])
			}
		}
		return out
	}},
	"groupby": {"attribute default? case_sensitive?", copies, groupby},
	"min":     extreme("<"), "max": extreme(">"),
}

// keyed gives what items are compared by: an attribute (or several, in a list,
// when the path has commas), strings in lower case unless case counts.
func (s *state) keyed(items []any, attribute any, caseCounts bool) []any {
	if attribute == nil && caseCounts {
		return items
	}
	s.grow(cell * len(items))
	keys := make([]any, len(items))
	for i, item := range items {
		s.step()
		keys[i] = s.key(item, attribute, caseCounts)
	}
	return keys
}

func (s *state) key(item, attribute any, caseCounts bool) any {
	switch at := attribute.(type) {
	case nil:
	case string:
		if first, rest, several := strings.Cut(at, ","); several {
			s.grow(2 * cell)
			return []any{s.key(item, first, caseCounts), s.key(item, rest, caseCounts)}
		}
		item = s.path(item, at)
	case int64:
		item = s.item(item, at)
	default:
		fail("an attribute is named by a string or an index, not by %s", typeName(attribute))
	}
	if text, ok := asString(item); ok && !caseCounts {
		s.pay(copies, text, nil)
		return lower(text)
	}
	return item
}

// sorted sorts items by their keys; what is equal keeps its order.
func (m *meter) sorted(items, keys []any, reverse bool) []any {
	m.growTimes(3*cell, int64(len(items)))
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if reverse {
			i, j = j, i
		}
		return m.order(keys[i], keys[j], "<", 0)
	})
	out := make([]any, len(items))
	for i, at := range order {
		out[i] = items[at]
	}
	return out
}

func extreme(op string) filter {
	return filter{"case_sensitive? attribute?", looks, func(s *state, v any, a arguments) any {
		items := s.iterate(v)
		if len(items) == 0 {
			return undefined{"the sequence is empty, so it has no smallest or largest item"}
		}
		best := 0
		keys := s.keyed(items, a.get("attribute", nil), a.truth("case_sensitive"))
		for i, key := range keys {
			if i > 0 && s.compare(op, key, keys[best]) {
				best = i
			}
		}
		return items[best]
	}}
}

func dictsort(s *state, v any, a arguments) any {
	d, ok := v.(*Dict)
	if !ok {
		fail("'dictsort' needs a dict, not %s", typeName(v))
	}
	by, place := a.text("by", "key"), int64(0)
	if by == "value" {
		place = 1
	} else if by != "key" {
		fail("'dictsort' sorts by key or value, not by '%.20s'", by)
	}
	s.growTimes(3*cell, int64(d.Len()))
	pairs := d.pairs()
	return s.sorted(pairs, s.keyed(pairs, place, a.truth("case_sensitive")), a.truth("reverse"))
}

func groupby(s *state, v any, a arguments) any {
	items, attribute := s.iterate(v), a.get("attribute", nil)
	s.growTimes(8*cell, int64(len(items)))
	labels := slices.Clone(s.keyed(items, attribute, true))
	for i, label := range labels {
		if _, ok := label.(undefined); ok {
			labels[i] = a.get("default", label)
		}
	}
	pairs := make([]any, len(items))
	for i := range items {
		pairs[i] = tuple{labels[i], items[i]}
	}
	var last any
	out := []any{}
	for _, pair := range s.sorted(pairs, s.keyed(labels, nil, a.truth("case_sensitive")), false) {
		label, item := pair.(tuple)[0], pair.(tuple)[1]
		key := s.key(label, nil, a.truth("case_sensitive"))
		if n := len(out); n > 0 && s.equal(last, key) {
			g := out[n-1].(group)
			g[1] = append(g[1].([]any), item)
			continue
		}
		last = key
		out = append(out, group{label, []any{item}})
	}
	return out
}

// mapFilter is map('filter', ...) or map(attribute='a.b', default=x).
func mapFilter(s *state, v any, a arguments) any {
	out := generator{}
	if !truth(v) {
		return out
	}
	items := s.iterate(v)
	s.grow(cell * len(items))
	if _, ok := a.named.Get("attribute"); ok {
		b := bind(a.of, "attribute default?", a.rest, a.named)
		for _, item := range items {
			s.step()
			value := s.key(item, b.get("attribute", nil), true)
			if _, ok := value.(undefined); ok {
				value = b.get("default", value)
			}
			out = append(out, value)
		}
		return out
	}
	if len(a.rest) == 0 {
		fail("%s needs the name of a filter, or attribute=", a.of)
	}
	name, _ := asString(a.rest[0])
	f, ok := s.filters[name]
	if !ok {
		fail("unknown filter '%.40s'", name)
	}
	for _, item := range items {
		s.step()
		out = append(out, s.applyFilter(name, f, item, a.rest[1:], a.named))
	}
	return out
}

// selector is select, reject, selectattr or rejectattr.
func selector(byAttribute, wanted bool) filter {
	return filter{"* **", copies, func(s *state, v any, a arguments) any {
		out, args := generator{}, a.rest
		if !truth(v) {
			return out
		}
		var attribute any
		if byAttribute {
			if len(args) == 0 {
				fail("%s needs the name of an attribute", a.of)
			}
			attribute, args = args[0], args[1:]
		}
		holds := truth
		if len(args) > 0 {
			name, _ := asString(args[0])
			t, ok := s.tests[name]
			if !ok {
				fail("unknown test '%.40s'", name)
			}
			rest := args[1:]
			holds = func(v any) bool { return s.applyTest(name, t, v, rest, a.named) }
		} else if a.named.Len() > 0 {
			fail("%s has no argument '%s'", a.of, a.named.Keys()[0])
		}
		for _, item := range s.iterate(v) {
			s.step()
			if holds(s.key(item, attribute, true)) == wanted {
				out = append(out, item)
			}
		}
		return out
	}}
}
