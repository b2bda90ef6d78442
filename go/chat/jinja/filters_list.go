package jinja

var listFilters = map[string]filter{
	"length": {"", free, func(s *state, v any, _ arguments) any {
		if text, ok := asString(v); ok {
			s.scan(len(text))
		}
		return length(v)
	}},
	"first": {"", free, func(s *state, v any, _ arguments) any { return s.end(v, false) }},
	"last": {"", free, func(s *state, v any, _ arguments) any {
		if _, ok := v.(generator); ok {
			fail("'last' needs a list, not a generator; put '| list' before it")
		}
		return s.end(v, true)
	}},
	"default": {"default_value? boolean?", free, func(_ *state, v any, a arguments) any {
		if _, ok := v.(undefined); ok || a.truth("boolean") && !truth(v) {
			return a.get("default_value", "")
		}
		return v
	}},
	"list": {"", copies, func(s *state, v any, _ arguments) any {
		return append([]any{}, s.iterate(v)...)
	}},
	"items": {"", copies, func(s *state, v any, _ arguments) any {
		if _, ok := v.(undefined); ok {
			return generator{}
		}
		d, ok := v.(*Dict)
		if !ok {
			fail("'items' needs a dict, not %s", typeName(v))
		}
		s.growTimes(2*cell, int64(d.Len()))
		return generator(d.pairs())
	}},
	"attr": {"name", free, func(s *state, v any, a arguments) any {
		name := a.text("name", "")
		if m, ok := s.member(v, name); ok {
			return m
		}
		return undefined{"'" + typeName(v) + "' object has no attribute '" + name + "'"}
	}},
	"reverse": {"", copies, func(s *state, v any, _ arguments) any {
		if _, ok := asString(v); ok {
			return s.slice(v, [3]any{nil, nil, int64(-1)})
		}
		items := s.iterate(v)
		out := make(generator, len(items))
		for i, item := range items {
			out[len(items)-1-i] = item
		}
		return out
	}},
	"join": {"d? attribute?", copies, func(s *state, v any, a arguments) any {
		between := s.str(a.get("d", ""))
		w := writer{meter: &s.meter}
		for i, item := range s.keyed(s.iterate(v), a.get("attribute", nil), true) {
			s.step()
			if i > 0 {
				w.put(between)
			}
			w.put(s.str(item))
		}
		return w.String()
	}},
	"sum": {"attribute? start?", copies, func(s *state, v any, a arguments) any {
		total := a.get("start", int64(0))
		for _, item := range s.keyed(s.iterate(v), a.get("attribute", nil), true) {
			s.step()
			total = s.arithmetic("+", total, item)
		}
		return total
	}},
	"batch": {"linecount fill_with?", copies, batch},
	"slice": {"slices fill_with?", copies, columns},
}

// end is the first or last item.
func (s *state) end(v any, last bool) any {
	if text, ok := asString(v); ok && text != "" {
		at := int64(0)
		if last {
			at = -1
		}
		item, _ := s.itemAt(text, at)
		return item
	}
	items := s.iterate(v)
	switch {
	case len(items) == 0:
		return undefined{"the sequence is empty, so it has no first or last item"}
	case last:
		return items[len(items)-1]
	}
	return items[0]
}

// batch cuts a list into rows of linecount items.
func batch(s *state, v any, a arguments) any {
	size, fill := a.integer("linecount", 1), a.get("fill_with", nil)
	if size < 1 {
		fail("'batch' needs at least one item per row")
	}
	out, items := generator{}, s.iterate(v)
	for len(items) > 0 {
		n := int(min(size, int64(len(items))))
		s.grow(2 * cell)
		row := append([]any{}, items[:n]...)
		if items = items[n:]; fill != nil {
			s.growTimes(cell, size-int64(n))
			for int64(len(row)) < size {
				row = append(row, fill)
			}
		}
		out = append(out, row)
	}
	return out
}

// columns is the filter slice: a list cut into a number of columns.
func columns(s *state, v any, a arguments) any {
	items, n, fill := s.iterate(v), a.integer("slices", 1), a.get("fill_with", nil)
	if n < 1 {
		fail("'slice' needs at least one column")
	}
	s.growTimes(4*cell, n)
	out, each, extra := generator{}, int64(len(items))/n, int64(len(items))%n
	for i := range n {
		column := append([]any{}, items[i*each+min(i, extra):(i+1)*each+min(i+1, extra)]...)
		if fill != nil && i >= extra {
			column = append(column, fill)
		}
		out = append(out, column)
	}
	return out
}
