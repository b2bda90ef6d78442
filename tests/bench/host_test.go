package bench

import (
	"fmt"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/require"
)

// nothing is a GPU that takes no time, and no memory: what is left of a step is
// the host's.
type nothing struct{}

func (nothing) Profile() bindings.Profile                                    { return bindings.CUDAProfile() }
func (nothing) Info() string                                                 { return "nothing" }
func (nothing) Open(bindings.Plan) (bindings.Device, error)                  { return nothing{}, nil }
func (nothing) Upload(bindings.Tensor, []byte) error                         { return nil }
func (nothing) Download([]byte, bindings.Tensor) error                       { return nil }
func (nothing) Prepare(string, func(bindings.Ops)) (bindings.Program, error) { return nothing{}, nil }
func (nothing) Launch() error                                                { return nil }
func (nothing) Close() error                                                 { return nil }

// BenchmarkHost is what the host does in a step of an 8B model besides calling the
// device: it stages a row of tokens and reads the report. With adapters and
// without, the device is called as often.
func BenchmarkHost(b *testing.B) {
	for _, tokens := range []int{512, 4096, 16384} {
		b.Run(fmt.Sprintf("llama-3.1-8b/lora/1x%d", tokens), func(b *testing.B) {
			config, ok := model.Shape("llama-3.1-8b")
			require.True(b, ok)
			parsed, err := model.ParseConfig("config.json", config)
			require.NoError(b, err)
			m := model.New(parsed)
			require.NoError(b, r16.Attach(m, 1))
			row := data.Row{IDs: make([]int32, tokens), Labels: make([]int32, tokens)}
			batch := []data.MicroBatch{data.Flatten([]data.Row{row})}
			e, err := train.NewEngine(nothing{}, plan.Job{
				Model: m, Types: nn.BFloat, Profile: bindings.CUDAProfile(),
				Train: []nn.Bucket{{Tokens: tokens, Sequences: 1, Targets: tokens - 1}},
			}, 1)
			require.NoError(b, err)
			for i := 0; b.Loop(); i++ {
				_, err := e.Step(i, 1e-4, batch)
				require.NoError(b, err)
			}
		})
	}
}
