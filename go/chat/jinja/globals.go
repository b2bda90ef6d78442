package jinja

import "strconv"

// maxRange is the longest range, as in jinja2's sandbox.
const maxRange = 100_000

var globals = map[string]any{
	"range":           builtin{"range", "start stop? step?", rangeOf},
	"namespace":       builtin{"namespace", "items? **", namespaceOf},
	"dict":            builtin{"dict", "items? **", func(s *state, a arguments) any { return s.dictOf(a) }},
	"joiner":          builtin{"joiner", "sep?", joinerOf},
	"cycler":          builtin{"cycler", "*", cyclerOf},
	"raise_exception": builtin{"raise_exception", "message", raise},
	"strftime_now": builtin{"strftime_now", "format", func(s *state, a arguments) any {
		return s.strftime(s.options.Now, a.text("format", ""))
	}},
}

func raise(s *state, a arguments) any {
	fail("%s", s.str(a.get("message", nil)))
	return nil
}

// decimal reads a number of digits alone.
func decimal(text string) (int64, bool) {
	i, err := strconv.ParseInt(text, 10, 64)
	return i, err == nil && text[0] >= '0' && text[0] <= '9'
}

func rangeOf(s *state, a arguments) any {
	r := sequence{stop: a.integer("start", 0), step: a.integer("step", 1)}
	if !isAbsent(a.get("stop", absent{})) {
		r.start, r.stop = r.stop, a.integer("stop", 0)
	}
	var span, step uint64 // unsigned, so that no difference overflows
	switch {
	case r.step == 0:
		fail("'range' needs a step other than zero")
	case r.step > 0 && r.start < r.stop:
		span, step = uint64(r.stop)-uint64(r.start), uint64(r.step)
	case r.step < 0 && r.start > r.stop:
		span, step = uint64(r.start)-uint64(r.stop), -uint64(r.step)
	default:
		return r
	}
	count := (span-1)/step + 1
	if count > maxRange {
		fail("the range has more than %d items", maxRange)
	}
	s.growTimes(2*cell, int64(count))
	s.scan(cell * int(count))
	r.items = make([]any, count)
	for i := range r.items {
		r.items[i] = r.start + int64(i)*r.step
	}
	return r
}

func (s *state) dictOf(a arguments) *Dict {
	d := NewDict()
	items := a.get("items", nil)
	pairs, ok := items.(*Dict)
	switch {
	case ok:
		s.extend(d, pairs)
	case items != nil:
		for _, item := range s.iterate(items) {
			pair := s.iterate(item)
			if len(pair) != 2 {
				fail("'dict' needs pairs of key and value")
			}
			s.grow(4 * cell)
			s.set(d, pair[0], pair[1])
		}
	}
	s.extend(d, a.named)
	return d
}

func (s *state) extend(d, more *Dict) {
	s.growTimes(4*cell, int64(more.Len()))
	for _, key := range more.keys {
		value, _ := more.get(key)
		s.set(d, key, value)
	}
}

func namespaceOf(s *state, a arguments) any {
	n := &namespace{map[string]any{}}
	d := s.dictOf(a)
	for _, key := range d.keys {
		n.fields[s.str(key)], _ = d.get(key)
	}
	return n
}

func joinerOf(_ *state, a arguments) any {
	sep, used := a.text("sep", ", "), false
	return builtin{"joiner", "", func(*state, arguments) any {
		if !used {
			used = true
			return ""
		}
		return sep
	}}
}

func cyclerOf(_ *state, a arguments) any {
	if len(a.rest) == 0 {
		fail("'cycler' needs at least one value")
	}
	c := &namespace{map[string]any{"current": a.rest[0]}}
	at := 0
	move := func(to int) {
		at = to % len(a.rest)
		c.fields["current"] = a.rest[at]
	}
	c.fields["next"] = builtin{"next", "", func(*state, arguments) any {
		now := a.rest[at]
		move(at + 1)
		return now
	}}
	c.fields["reset"] = builtin{"reset", "", func(*state, arguments) any {
		move(0)
		return nil
	}}
	return c
}
