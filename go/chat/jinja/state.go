package jinja

import "strings"

// scope is one level of names; a block that has names of its own gets a child.
type scope struct {
	names map[string]any
	outer *scope
}

func (s *scope) child() *scope { return &scope{map[string]any{}, s} }

// state is one render under way.
type state struct {
	meter
	scope    *scope
	out      *strings.Builder
	captured int // captures around this place
	spans    []Span
	at       int // offset of the node at work, for errors
	options  Options

	filters map[string]filter
	tests   map[string]test
	globals map[string]any
}

// lookup finds a variable and pays for the scopes looked through.
func (s *state) lookup(name string) (any, bool) {
	levels := 0
	for at := s.scope; at != nil; at = at.outer {
		if v, ok := at.names[name]; ok {
			return v, true
		}
		levels++
	}
	s.scan(levels * cell)
	return nil, false
}

func (s *state) write(text string) {
	s.grow(len(text))
	s.out.WriteString(text)
}

// capture runs f and returns what it wrote.
func (s *state) capture(f func()) string {
	out := s.out
	s.out = &strings.Builder{}
	s.captured++
	f()
	text := s.out.String()
	s.out = out
	s.captured--
	return text
}

// within runs f in another scope.
func (s *state) within(inner *scope, f func()) {
	outer := s.scope
	s.scope = inner
	f()
	s.scope = outer
}

// captureBlock captures a body that has its own scope.
func (s *state) captureBlock(body []node) string {
	return s.capture(func() { s.within(s.scope.child(), func() { s.run(body) }) })
}
