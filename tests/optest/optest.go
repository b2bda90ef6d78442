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
		elementwiseCases(), embeddingCases(), normCases(), linearCases(), linearBackwardCases(), magnitudeCases(), ropeCases(),
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
	for _, c := range Cases() {
		if c.bench || !strings.Contains(c.Name(), o.Only) {
			continue
		}
		for _, act := range o.Types {
			t.Run(fmt.Sprintf("%s/%s", c.Name(), act), func(t *testing.T) {
				got, err := check(backend, c, act, o.expected(c, act))
				if slices.Contains(o.Missing, c.Op) {
					require.ErrorIs(t, err, bindings.ErrNotImplemented)
					return
				}
				if errors.Is(err, bindings.ErrNotImplemented) && o.AllowMissing {
					t.Skipf("%s: %v", c.Op, err)
				}
				require.NoError(t, err)
				for name, b := range got {
					if o.Results != nil {
						o.Results[fmt.Sprintf("%s/%s/%s", c.Name(), act, name)] = b
					}
				}
			})
		}
	}
}

// check runs a case with both placements of its tensors and returns the bytes
// of its outputs.
func check(backend bindings.Backend, c Case, act bindings.DType, want expected) (got map[string][]byte, err error) {
	for _, guard := range []int{64, 3} {
		m := &maker{mem: bindings.NewMemory(), profile: backend.Profile(), act: act, guard: guard}
		call := c.build(m)
		if got, err = run(backend, m, call, 2); err != nil {
			return nil, err
		}
		if err := compare(m, want, got); err != nil {
			return nil, fmt.Errorf("tensors at multiples of %d elements: %w", guard, err)
		}
	}
	return got, nil
}

// run uploads and launches, that many times, and checks everything but the
// values.
func run(backend bindings.Backend, m *maker, call func(bindings.Ops), times int) (map[string][]byte, error) {
	device, err := backend.Open(m.mem.Peak())
	if err != nil {
		return nil, err
	}
	defer device.Close()
	program, err := device.Prepare("optest", call)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	var first map[string][]byte
	for range times {
		for _, s := range m.specs {
			if err := device.Upload(s.slot, s.before()); err != nil {
				return nil, err
			}
		}
		if err := program.Launch(); err != nil {
			return nil, err
		}
		out := map[string][]byte{}
		for _, s := range m.specs {
			after := make([]byte, s.slot.Bytes())
			if err := device.Download(after, s.slot); err != nil {
				return nil, err
			}
			own, err := s.intact(after)
			if err != nil {
				return nil, err
			}
			if s.role == output || s.role == updated {
				out[s.name] = own
			}
		}
		for name, b := range first {
			if !bytes.Equal(b, out[name]) {
				return nil, fmt.Errorf("%s: a second run gives other bits", name)
			}
		}
		first = out
	}
	return first, nil
}
