package jinja

func dictMethod(d *Dict, name string) (any, bool) {
	all := func(kind string, list func() []any) (any, bool) {
		return builtin{name, "", func(s *state, _ arguments) any {
			s.scan(cell * d.Len())
			s.growTimes(3*cell, int64(d.Len()))
			return view{kind, list()}
		}}, true
	}
	switch name {
	case "items":
		return all("dict_items", d.pairs)
	case "keys":
		return all("dict_keys", func() []any { return d.keys })
	case "values":
		return all("dict_values", d.list)
	case "get":
		return builtin{name, "key default?", func(s *state, a arguments) any {
			key := a.get("key", nil)
			s.scan(weight(key))
			if v, ok := d.get(key); ok {
				return v
			}
			return a.get("default", nil)
		}}, true
	case "copy":
		return builtin{name, "", func(*state, arguments) any { return d }}, true
	}
	return nil, false
}

func listMethod(v any, name string) (any, bool) {
	items, ok := indexed(v)
	if !ok || name != "index" && name != "count" {
		return nil, false
	}
	return builtin{name, "value", func(s *state, a arguments) any {
		count := int64(0)
		for i, item := range items {
			if s.equal(item, a.get("value", nil)) {
				if name == "index" {
					return int64(i)
				}
				count++
			}
		}
		if name == "index" {
			fail("the value is not in the %s", typeName(v))
		}
		return count
	}}, true
}
