//go:build cgo

package generate

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

func openCPU(t *testing.T, m *model.Model, threads int, types nn.Types, o Options) *Generator {
	o.Model, o.Types, o.Source = m, types, weights{m}
	g, err := Open(context.Background(), native.CPU(native.Options{Threads: threads}), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

// On the CPU in float32 the answers are those of float64, the logits to 1e-5
// of their size, and the plan is kept to.
func TestCPU(t *testing.T) {
	ctx := context.Background()
	for family := range configs {
		m := withLoRA(t, tiny(t, family, vocab))
		o := Options{MaxTokens: 100, Sequences: 4, Adapter: adapter(m, "a")}
		exact := open(t, m, o)
		p := Params{MaxNewTokens: 12, Reuse: true}
		want, err := exact.Generate(ctx, prompts, p, nil)
		require.NoError(t, err)
		truth := doubles(t, exact.dev, exact.logits)

		other := withLoRA(t, tiny(t, family, vocab))
		g := openCPU(t, other, 2, nn.Float32, o)
		got, err := g.Generate(ctx, prompts, p, nil)
		require.NoError(t, err)
		assert.Equal(t, want, got, family)
		logits, err := model.Download(g.dev, g.logits)
		require.NoError(t, err)
		var off, size float64
		for i := range truth {
			off += math.Pow(truth[i]-float64(logits[i]), 2)
			size += truth[i] * truth[i]
		}
		assert.Less(t, math.Sqrt(off/size), 1e-5, family)

		drawn := Params{MaxNewTokens: 12, Temperature: 1.2, TopK: 30, TopP: 0.95, MinP: 0.02, RepetitionPenalty: 1.2, Seed: 11}
		want, err = exact.Generate(ctx, prompts, drawn, nil)
		require.NoError(t, err)
		got, err = g.Generate(ctx, prompts, drawn, nil)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%s, drawn", family)

		long := make([]int32, 99)
		_, err = g.Generate(ctx, [][]int32{long, long, long, long}, Params{Temperature: 1, TopP: 0.9}, nil)
		require.NoError(t, err)
		assert.Equal(t, g.Planned().Plan, g.Used(), family)
	}
}

// In bfloat16 too the same call gives the same tokens, on any number of
// threads, whatever was served before.
func TestCPURepeats(t *testing.T) {
	ctx := context.Background()
	p := Params{MaxNewTokens: 20, Temperature: 1, TopK: 20, TopP: 0.9, MinP: 0.01, RepetitionPenalty: 1.1, Seed: 3}
	for _, types := range []nn.Types{nn.Float32, nn.BFloat} {
		var all [][]Completion
		for _, threads := range []int{1, 2} {
			g := openCPU(t, tiny(t, "qwen3", vocab), threads, types, Options{MaxTokens: 64, Sequences: 2})
			for range 2 {
				out, err := g.Generate(ctx, prompts, p, nil)
				require.NoError(t, err)
				all = append(all, out)
				_, err = g.Generate(ctx, prompts[:1], Params{MaxNewTokens: 3, Temperature: 2, Reuse: true}, nil)
				require.NoError(t, err)
			}
		}
		for _, out := range all[1:] {
			assert.Equal(t, all[0], out, "%v", types)
		}
	}
}

// A row among others with other adapters has the bits on the CPU that it has
// among rows that all have its own.
func TestCPUAdapterByRow(t *testing.T) {
	ctx := context.Background()
	for _, types := range []nn.Types{nn.Float32, nn.BFloat} {
		m := tiny(t, "llama", vocab)
		g := openCPU(t, m, 2, types, Options{MaxTokens: 40, Sequences: len(mixed), Adapters: len(three), Adapter: stacked(t, m)})
		run := func(mixes ...Mix) ([][]int32, []float32) {
			batch := make([][]int32, len(mixed))
			for i, x := range mixed {
				batch[i] = x.prompt
			}
			out, err := g.Generate(ctx, batch, Params{MaxNewTokens: 10, Mixes: mixes}, nil)
			require.NoError(t, err)
			logits, err := model.Download(g.dev, g.logits)
			require.NoError(t, err)
			return tokens(out), logits
		}
		var each []Mix
		for _, x := range mixed {
			each = append(each, x.mix)
		}
		together, logits := run(each...)
		for i, x := range mixed {
			uniform, alone := run(x.mix)
			assert.Equal(t, uniform[i], together[i], "%v row %d", types, i)
			assert.Equal(t, alone[i*vocab:(i+1)*vocab], logits[i*vocab:(i+1)*vocab], "%v row %d", types, i)
		}
	}
}
