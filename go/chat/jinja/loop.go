package jinja

// loop is the variable "loop".
type loop struct {
	items   []any
	index   int
	depth   int
	again   func(any) any // of a recursive loop
	changed any           // what changed() was last called with
}

func (l *loop) attribute(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(n - l.index), true
	case "revindex0":
		return int64(n - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index > 0 {
			return l.items[l.index-1], true
		}
		return undefined{"there is no previous item"}, true
	case "nextitem":
		if l.index+1 < n {
			return l.items[l.index+1], true
		}
		return undefined{"there is no next item"}, true
	case "cycle":
		return builtin{"cycle", "*", func(_ *state, a arguments) any {
			if len(a.rest) == 0 {
				fail("loop.cycle needs at least one value")
			}
			return a.rest[l.index%len(a.rest)]
		}}, true
	case "changed":
		return builtin{"changed", "*", func(s *state, a arguments) any {
			last := l.changed
			l.changed = tuple(a.rest)
			return last == nil || !s.equal(last, l.changed)
		}}, true
	}
	return nil, false
}
