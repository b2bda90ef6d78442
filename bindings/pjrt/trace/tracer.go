package trace

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
)

var _ bindings.Ops = (*Tracer)(nil)

// Tracer is the tracing device: every operation appends to the module.
type Tracer struct {
	builder
	profile   bindings.Profile
	layout    func(bindings.Tensor) bindings.Tensor
	cells     map[int32]*cell // by serial of the slot
	arguments []*cell         // in the order of first use
	funcs     map[string]string
	seen      map[string]span // see visible
	calls     []string        // operations read, for locations
}

// Module is a traced program. Arguments and results are whole slots, so whoever
// runs it needs no other description.
type Module struct {
	Name    string
	Text    string
	Args    []bindings.Tensor
	Donated []bool // arguments whose memory a result takes
	Results []bindings.Tensor
	Calls   int // operations of the program
	Lines   int // StableHLO operations
}

// Read reads a program. It first counts it, so that a wrong call is an
// *bindings.OpError and not a module that no compiler accepts. layout gives the
// whole slot of a tensor, with the shape that the holder of its memory has for
// it; nil stands for Root.
func Read(name string, profile bindings.Profile, program func(bindings.Ops), layout func(bindings.Tensor) bindings.Tensor) (m Module, err error) {
	check := count.New(nil)
	program(check)
	if err := check.Err(); err != nil {
		return m, err
	}
	if layout == nil {
		layout = Root
	}
	d := &Tracer{profile: profile, layout: layout, cells: map[int32]*cell{}, funcs: map[string]string{}, seen: map[string]span{}}
	defer func() {
		if fault := recover(); fault != nil {
			cause, ok := fault.(error)
			if !ok {
				cause = fmt.Errorf("%v", fault)
			}
			op := name
			if n := len(d.calls); n > 0 {
				op = d.calls[n-1]
			}
			err = &bindings.OpError{Op: op, Err: cause}
		}
	}()
	program(d)
	return d.module(name), nil
}

// begin names the values of one call.
func (d *Tracer) begin(op string) {
	d.enter(fmt.Sprintf("%s_%d", op, len(d.calls)), fmt.Sprintf("#call%d", len(d.calls)))
	d.calls = append(d.calls, op)
}

// module closes the function. Every slot that outlives the program and was
// written is a result; its memory, if it was an argument, is donated.
func (d *Tracer) module(name string) Module {
	d.enter("result", "")
	m := Module{Name: name, Calls: len(d.calls)}
	var out []*cell
	for _, c := range d.cells {
		if c.dirty && c.root.Slot.Space != bindings.Activations {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *cell) int {
		if a.root.Slot.Space != b.root.Slot.Space {
			return int(a.root.Slot.Space) - int(b.root.Slot.Space)
		}
		return int(a.root.Slot.Index - b.root.Slot.Index)
	})
	result := map[*cell]int{}
	var names, types []string
	for i, c := range out {
		d.join(c)
		if !c.arg { // written without being read: its memory is the result's all the same
			whole := c.whole
			d.argument(c)
			c.whole = whole
		}
		result[c] = i
		names, types = append(names, c.whole.name), append(types, c.whole.typ())
		m.Results = append(m.Results, c.root)
	}
	var args []string
	for _, c := range d.arguments {
		a := fmt.Sprintf("%%%s.%d: %s", c.root.Slot.Space, c.root.Slot.Index, typ(elem(c.root.DType), c.root.Shape.Dims()))
		k, donated := result[c]
		if donated {
			a += fmt.Sprintf(" {tf.aliasing_output = %d : i32}", k)
		}
		args = append(args, a)
		m.Args, m.Donated = append(m.Args, c.root), append(m.Donated, donated)
	}
	m.Lines = d.lines
	var text strings.Builder
	fmt.Fprintf(&text, "module @%s {\n", identifier(name))
	fmt.Fprintf(&text, "  func.func @main(\n    %s\n  ) -> (%s) {\n", strings.Join(args, ",\n    "), strings.Join(types, ", "))
	text.WriteString(d.body.String())
	if len(names) > 0 {
		fmt.Fprintf(&text, "    return %s : %s\n  }\n", strings.Join(names, ", "), strings.Join(types, ", "))
	} else {
		text.WriteString("    return\n  }\n")
	}
	for _, f := range slices.Sorted(maps.Keys(d.funcs)) {
		text.WriteString(d.funcs[f])
	}
	text.WriteString("}\n")
	for i, op := range d.calls {
		fmt.Fprintf(&text, "#call%d = loc(\"%s/%s.%d\")\n", i, name, op, i)
	}
	m.Text = text.String()
	return m
}

// identifier is a name that MLIR accepts for a symbol.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, "step_"+name)
}
