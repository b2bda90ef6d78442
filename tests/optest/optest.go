// Package optest is the table of operations: one list of cases, and a runner
// that holds any device to the float64 reference. The same table serves the
// tests, the gradient checks, the benchmarks and the list of what a device
// supports.
//
//	func TestOperations(t *testing.T) { optest.Run(t, backend, optest.Options{}) }
//
// A case runs like this. Inputs are rounded to the types of the device, and the
// reference computes from exactly those values, in float64. Outputs and scratch
// are filled with 0xff bytes (NaN) before the call. Every tensor lies between
// guards, once aligned and once at an odd element. Afterwards the outputs have
// to be within the bound that bound.go derives, guards and inputs unchanged,
// and a second run equal to the first, bit for bit.
package optest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

// Options of a run.
type Options struct {
	// Types of activations; float32 and bfloat16 if empty.
	Types []bindings.DType
	// AllowMissing skips cases that the device does not implement. Otherwise
	// they fail.
	AllowMissing bool
	// Missing are operations that the device does not have: their cases have to
	// answer ErrNotImplemented.
	Missing []string
	// Only runs the cases whose name contains it.
	Only string
	// Together makes one program of all cases of an operation, for devices that
	// compile: the tensors of each at an odd element. Operations run at a time, so
	// there are no Results.
	Together bool
	// Flushes is for devices that take numbers below the normal ones of float32
	// for zero.
	Flushes bool
	// Results receives the bytes of every output, by case and tensor, for
	// comparisons between two runs.
	Results map[string][]byte

	// memo keeps what the reference gives, by case, for runs on several devices.
	memo map[string]expected
}

// expected is what the reference gives for a case.
func (o Options) expected(c Case, act bindings.DType) expected {
	name := fmt.Sprintf("%s/%s", c.Name(), act)
	if e, ok := o.memo[name]; ok {
		return e
	}
	e := expect(c.build, act)
	if o.memo != nil {
		o.memo[name] = e
	}
	return e
}

// Case is one row of the table.
type Case struct {
	Op      string // as in the C interface
	Variant string // what is special, and the sizes
	build   build
	bench   bool // large enough to be timed
}

// Name is unique in the table.
func (c Case) Name() string { return c.Op + "/" + c.Variant }

// build declares the tensors of a case and returns the call.
type build func(m *maker) func(bindings.Ops)

// Cases is the table.
func Cases() (all []Case) {
	for _, list := range [][]Case{
		elementwiseCases(), embeddingCases(), normCases(), linearCases(), linearBackwardCases(), quantizeCases(), dequantizeCases(), magnitudeCases(), ropeCases(),
		attentionCases(), lossCases(), optimizerCases(), sampleCases(), layerNormCases(), classifierCases(),
	} {
		all = append(all, list...)
	}
	return all
}

// Run holds a backend to the reference, case by case.
func Run(t *testing.T, backend bindings.Backend, o Options) {
	t.Helper()
	if len(o.Types) == 0 {
		o.Types = []bindings.DType{bindings.F32, bindings.BF16}
	}
	if o.Together {
		t.Run("together", func(t *testing.T) { runTogether(t, backend, o) })
		return
	}
	for _, group := range o.groups() {
		for _, act := range o.Types {
			for _, c := range group {
				t.Run(fmt.Sprintf("%s/%s", c.Name(), act), func(t *testing.T) {
					got, err := check(backend, c, act, o)
					o.judge(t, c, act, outcome{got, err})
				})
			}
		}
	}
}

// runTogether has the programs of several operations compile at a time.
func runTogether(t *testing.T, backend bindings.Backend, o Options) {
	for _, group := range o.groups() {
		for _, act := range o.Types {
			t.Run(fmt.Sprintf("%s/%s", group[0].Op, act), func(t *testing.T) {
				t.Parallel()
				outcomes := checkAll(backend, group, act, oddGuard, o)
				for i, c := range group {
					t.Run(c.Variant, func(t *testing.T) { o.judge(t, c, act, outcomes[i]) })
				}
			})
		}
	}
}

// judge says whether a case passed.
func (o Options) judge(t *testing.T, c Case, act bindings.DType, out outcome) {
	t.Helper()
	if slices.Contains(o.Missing, c.Op) {
		require.ErrorIs(t, out.err, bindings.ErrNotImplemented)
		return
	}
	if errors.Is(out.err, bindings.ErrNotImplemented) && o.AllowMissing {
		t.Skipf("%s: %v", c.Op, out.err)
	}
	require.NoError(t, out.err)
	if o.Results == nil {
		return
	}
	for name, b := range out.got {
		o.Results[fmt.Sprintf("%s/%s/%s", c.Name(), act, name)] = b
	}
}

// groups are the cases that run: each alone, or by operation.
func (o Options) groups() (all [][]Case) {
	at := map[string]int{}
	for _, c := range Cases() {
		if c.bench || !strings.Contains(c.Name(), o.Only) {
			continue
		}
		if i, known := at[c.Op]; known && o.Together {
			all[i] = append(all[i], c)
			continue
		}
		at[c.Op] = len(all)
		all = append(all, []Case{c})
	}
	return all
}

// Guards around a tensor, in elements: one keeps it aligned, the other not.
const (
	evenGuard = 64
	oddGuard  = 3
)

// check runs a case with both placements of its tensors and returns the bytes
// of its outputs.
func check(backend bindings.Backend, c Case, act bindings.DType, o Options) (got map[string][]byte, err error) {
	for _, guard := range []int{evenGuard, oddGuard} {
		out := checkAll(backend, []Case{c}, act, guard, o)[0]
		if out.err != nil {
			return nil, fmt.Errorf("tensors at multiples of %d elements: %w", guard, out.err)
		}
		got = out.got
	}
	return got, nil
}

// outcome is the bytes of the outputs of a case.
type outcome struct {
	got map[string][]byte
	err error
}

// checkAll runs cases as one program.
func checkAll(backend bindings.Backend, cases []Case, act bindings.DType, guard int, o Options) []outcome {
	mem := bindings.NewMemory()
	makers, calls := make([]*maker, len(cases)), make([]func(bindings.Ops), len(cases))
	for i, c := range cases {
		makers[i] = &maker{mem: mem, profile: backend.Profile(), act: act, guard: guard, flushes: o.Flushes}
		calls[i] = c.build(makers[i])
	}
	outcomes := make([]outcome, len(cases))
	err := run(backend, mem, makers, outcomes, 2, func(ops bindings.Ops) {
		for _, call := range calls {
			call(ops)
		}
	})
	for i, c := range cases {
		if out := &outcomes[i]; err != nil {
			out.err = err
		} else if out.err == nil {
			out.err = compare(makers[i], o.expected(c, act), out.got)
		}
	}
	return outcomes
}

// run uploads and launches, that many times, and checks everything but the
// values. Its error is that of the device.
func run(backend bindings.Backend, mem *bindings.Memory, makers []*maker, outcomes []outcome, times int, call func(bindings.Ops)) error {
	device, err := backend.Open(mem.Peak())
	if err != nil {
		return err
	}
	defer device.Close()
	program, err := device.Prepare("optest", call)
	if err != nil {
		return err
	}
	defer program.Close()
	for range times {
		for _, m := range makers {
			for _, s := range m.specs {
				if err := device.Upload(s.slot, s.before()); err != nil {
					return err
				}
			}
		}
		if err := program.Launch(); err != nil {
			return err
		}
		for i, m := range makers {
			out := map[string][]byte{}
			for _, s := range m.specs {
				after := make([]byte, s.slot.Bytes())
				if err := device.Download(after, s.slot); err != nil {
					return err
				}
				own, err := s.intact(after)
				if err != nil && outcomes[i].err == nil {
					outcomes[i].err = err
				}
				if s.role == output || s.role == updated {
					out[s.name] = own
				}
			}
			for name, b := range outcomes[i].got {
				if !bytes.Equal(b, out[name]) && outcomes[i].err == nil {
					outcomes[i].err = fmt.Errorf("%s: a second run gives other bits", name)
				}
			}
			outcomes[i].got = out
		}
	}
	return nil
}

// once runs one case once.
func once(backend bindings.Backend, m *maker, call func(bindings.Ops)) (map[string][]byte, error) {
	var out [1]outcome
	if err := run(backend, m.mem, []*maker{m}, out[:], 1, call); err != nil {
		return nil, err
	}
	return out[0].got, out[0].err
}
