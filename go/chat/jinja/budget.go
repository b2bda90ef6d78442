package jinja

import "fmt"

// Limits bound what one render may use. Bytes are those of every string and
// list made on the way, freed or not; a step is one node evaluated, one loop
// turn, or scanStep bytes looked at.
type Limits struct{ Steps, Bytes, Depth int }

// DefaultLimits are about a hundred times what any published chat template
// needs for a conversation of a few pages.
var DefaultLimits = Limits{Steps: 200_000, Bytes: 8 << 20, Depth: 100}

const (
	scanStep  = 256 // bytes looked at for one step
	cell      = 16  // bytes of one list item
	maxNested = 64  // levels of lists and dicts that are printed or compared
)

// fault is a mistake of the template or its input; Parse and Render turn it
// into an error. Inside the package it travels as a panic, so that each of the
// hundred small functions of the language need not hand it up.
type fault struct{ text string }

func fail(format string, a ...any) { panic(fault{fmt.Sprintf(format, a...)}) }

// meter counts what is left of the limits.
type meter struct{ left Limits }

func (m *meter) step() {
	if m.left.Steps--; m.left.Steps < 0 {
		fail("the template runs too long (limit of steps)")
	}
}

// scan pays for looking at n bytes.
func (m *meter) scan(n int) {
	m.left.Steps -= n / scanStep
	m.step()
}

// grow pays for n bytes, before they are allocated.
func (m *meter) grow(n int) {
	if m.left.Bytes -= n; m.left.Bytes < 0 {
		fail("the template uses too much memory (limit of bytes)")
	}
}

// growTimes pays for n bytes k times, without overflow.
func (m *meter) growTimes(n int, k int64) {
	if n <= 0 || k <= 0 {
		return
	}
	if k > int64(m.left.Bytes/n) {
		m.grow(m.left.Bytes + 1)
	}
	m.grow(n * int(k))
}

func (m *meter) enter() {
	if m.left.Depth--; m.left.Depth < 0 {
		fail("the template recurses too deeply")
	}
}

func (m *meter) leave() { m.left.Depth++ }

// nested refuses values deeper than maxNested and pays for one more of them,
// so that a value holding itself twice, sixty times over, ends.
func (m *meter) nested(level int) {
	m.step()
	if level > maxNested {
		fail("a value is nested too deeply")
	}
}
