package jinja

import (
	"slices"
	"strings"
)

// arguments are those of a built-in function, by the names of its parameters.
type arguments struct {
	of     string // the function, for errors
	names  []string
	values []any
	rest   []any // with a parameter "*"
	named  *Dict // with a parameter "**"
}

// absent stands for an argument that is not given.
type absent struct{}

// bind matches arguments with parameters: names in order, "name?" where it can
// be left out, "*" for any more, "**" for any others by name.
func bind(of, params string, args []any, named *Dict) arguments {
	a := arguments{of: of, named: NewDict()}
	star, stars := false, false
	for _, p := range strings.Fields(params) {
		switch p {
		case "*":
			star = true
		case "**":
			stars = true
		default:
			a.parameter(p, args, named)
		}
	}
	if more := len(args) - len(a.names); more > 0 {
		if !star {
			fail("%s takes at most %d arguments, %d given", of, len(a.names), len(args))
		}
		a.rest = args[len(a.names):]
	}
	for _, name := range named.Keys() {
		if slices.Contains(a.names, name) {
			continue
		}
		if !stars {
			fail("%s has no argument '%s'", of, name)
		}
		value, _ := named.Get(name)
		a.named.Set(name, value)
	}
	return a
}

func (a *arguments) parameter(p string, args []any, named *Dict) {
	name, optional := strings.CutSuffix(p, "?")
	value, given := named.Get(name)
	switch i := len(a.names); {
	case i < len(args) && given:
		fail("%s got two values for '%s'", a.of, name)
	case i < len(args):
		value = args[i]
	case !given && !optional:
		fail("%s needs the argument '%s'", a.of, name)
	case !given:
		value = absent{}
	}
	a.names = append(a.names, name)
	a.values = append(a.values, value)
}

// get is an argument, or what stands for it when it is not given.
func (a arguments) get(name string, otherwise any) any {
	if i := slices.Index(a.names, name); !isAbsent(a.values[i]) {
		return a.values[i]
	}
	return otherwise
}

func (a arguments) text(name, otherwise string) string {
	v := a.get(name, otherwise)
	text, ok := asString(v)
	if !ok {
		fail("%s: '%s' must be a string, not %s", a.of, name, typeName(v))
	}
	return text
}

func (a arguments) integer(name string, otherwise int64) int64 {
	v := a.get(name, otherwise)
	i, ok := asInt(v)
	if !ok {
		fail("%s: '%s' must be an integer, not %s", a.of, name, typeName(v))
	}
	return i
}

func (a arguments) truth(name string) bool { return truth(a.get(name, false)) }

// cost says what a built-in does with its input, and so what is paid before it
// runs; what it makes beyond the size of its input it pays for itself.
type cost byte

const (
	copies cost = iota // looks at all of it and may copy it
	looks              // looks at all of it
	free               // looks at a part of constant size, or pays itself
)

func (s *state) pay(c cost, value any, args []any) {
	s.step()
	if c == free {
		return
	}
	total := weight(value)
	for _, arg := range args {
		total += weight(arg)
	}
	s.scan(total)
	if c == copies {
		s.grow(total)
	}
}

func isAbsent(v any) bool {
	_, ok := v.(absent)
	return ok
}
