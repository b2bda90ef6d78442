package generate

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
)

var prompts = [][]int32{
	{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4},
	{27},
	{18, 28, 18, 28, 45, 9, 4, 52},
	{60, 0, 31},
}

func tokens(all []Completion) (out [][]int32) {
	for _, c := range all {
		out = append(out, c.Tokens)
	}
	return out
}

// argmax is the lowest id among the largest.
func argmax(z []float64) int32 {
	best := 0
	for i := range z {
		if z[i] > z[best] {
			best = i
		}
	}
	return int32(best)
}

// greedy answers without a cache; penalty is that of repetition.
func greedy(t *testing.T, family string, values map[string][]float32, prompt []int32, n int, penalty float64) (out []int32, last []float64) {
	m := tiny(t, family, vocab)
	if values != nil {
		withLoRA(t, m)
	}
	ids := append([]int32(nil), prompt...)
	for range n {
		last = recomputed(t, m, values, ids)
		z := append([]float64(nil), last...)
		seen := map[int32]bool{}
		for _, id := range ids {
			if !seen[id] && z[id] > 0 {
				z[id] /= penalty
			} else if !seen[id] {
				z[id] *= penalty
			}
			seen[id] = true
		}
		ids = append(ids, argmax(z))
	}
	return ids[len(prompt):], last
}

// The cache, the chunks, the filling and the places change nothing: tokens are
// those of reading everything anew for each, and so are the last logits, to
// the rounding of float64 (sums have the same order; 1e-12 of their size).
func TestCachedEqualsRecomputed(t *testing.T) {
	const n = 12
	for family := range configs {
		for _, o := range []Options{
			{MaxTokens: 40},
			{MaxTokens: 40, Chunk: 4, Sequences: 3},
			{MaxTokens: 33, Chunk: 16, Sequences: 2},
			{MaxTokens: 64, Sequences: 5},
			{MaxTokens: 32, Chunk: 8},
		} {
			g := open(t, tiny(t, family, vocab), o)
			out, err := g.Generate(context.Background(), prompts, Params{MaxNewTokens: n}, nil)
			require.NoError(t, err)
			for i, prompt := range prompts {
				want, last := greedy(t, family, nil, prompt, n, 1)
				assert.Equal(t, want, out[i].Tokens, "%s %+v prompt %d", family, o, i)
				assert.Equal(t, Length, out[i].Reason)
				if o.Sequences == 5 { // every prompt had a place of its own
					z := doubles(t, g.dev, g.logits.RowRange(i, i+1))
					for j := range z {
						assert.InDelta(t, last[j], z[j], 1e-12*math.Abs(last[argmax(last)]))
					}
				}
			}
		}
	}
}

// A context that is full leaves no free row for filling.
func TestFullContext(t *testing.T) {
	for _, size := range []int{2, 7, 21, 23} {
		g := open(t, tiny(t, "llama", vocab), Options{MaxTokens: size, Sequences: 2})
		for _, p := range prompts {
			if len(p) >= size {
				continue
			}
			out, err := g.Generate(context.Background(), [][]int32{p, p}, Params{}, nil)
			require.NoError(t, err)
			want, _ := greedy(t, "llama", nil, p, size-len(p), 1)
			assert.Equal(t, [][]int32{want, want}, tokens(out))
		}
		for key := range g.programs {
			assert.True(t, key.name != "forward" || key.n == roundUp(key.n), "a program of %d tokens", key.n)
		}
	}
}

func TestSampling(t *testing.T) {
	g := open(t, tiny(t, "qwen3", vocab), Options{MaxTokens: 48, Sequences: 3})
	run := func(p Params, prompts ...[]int32) [][]int32 {
		p.MaxNewTokens = 14
		out, err := g.Generate(context.Background(), prompts, p, nil)
		require.NoError(t, err)
		return tokens(out)
	}
	p := Params{Temperature: 1.5, TopP: 0.95, TopK: 40, Seed: 7 << 33}
	first := run(p, prompts...)
	assert.Equal(t, first, run(p, prompts...), "the same seed")
	for i := range prompts {
		alone := p
		alone.Stream = i
		assert.Equal(t, first[i:i+1], run(alone, prompts[i]), "prompt %d alone", i)
	}
	run(p, prompts[:2]...)
	seeds := make([]byte, g.seeds.Bytes())
	require.NoError(t, g.dev.Download(seeds, g.seeds))
	assert.Equal(t, bindings.EncodeInts([]uint32{0, 14, 13, 0, 0, 14, 13, 1}), seeds[:32], "key, token, stream of each place")

	other := p
	other.Seed = 8 << 33
	assert.NotEqual(t, first, run(other, prompts...), "another seed")
	same := run(p, prompts[0], prompts[0])
	assert.NotEqual(t, same[0], same[1], "each prompt has a stream of its own")

	want := run(Params{}, prompts...)
	assert.NotEqual(t, want, first)
	assert.Equal(t, want, run(Params{Temperature: 1, TopK: 1}, prompts...))
	assert.Equal(t, want, run(Params{Temperature: 1, MinP: 1}, prompts...))
	assert.Equal(t, want, run(Params{Temperature: 1, TopP: 1e-9}, prompts...))
	assert.Len(t, g.programs, g.programCount("forward")+1+g.Sequences, "the sampling programs of one set of filters")
}

func (g *Generator) programCount(name string) (n int) {
	for key := range g.programs {
		if key.name == name {
			n++
		}
	}
	return n
}

// The penalty counts the prompt and the answer, of this prompt alone.
func TestRepetitionPenalty(t *testing.T) {
	g := open(t, tiny(t, "mistral", vocab), Options{MaxTokens: 48, Sequences: 2})
	plain, _ := greedy(t, "mistral", nil, prompts[0], 10, 1)
	for _, penalty := range []float64{1.3, 50} {
		out, err := g.Generate(context.Background(), prompts, Params{MaxNewTokens: 10, RepetitionPenalty: penalty}, nil)
		require.NoError(t, err)
		for i, prompt := range prompts {
			want, _ := greedy(t, "mistral", nil, prompt, 10, penalty)
			assert.Equal(t, want, out[i].Tokens)
		}
		assert.NotEqual(t, plain, out[0].Tokens)
	}
}

func TestReuse(t *testing.T) {
	g := open(t, tiny(t, "qwen2", vocab), Options{MaxTokens: 64})
	ctx := context.Background()
	p := Params{MaxNewTokens: 6, Reuse: true}
	first, err := g.Generate(ctx, prompts[:1], p, nil)
	require.NoError(t, err)
	next := append(append(append([]int32(nil), prompts[0]...), first[0].Tokens...), 11, 12)
	for _, c := range []struct {
		prompt []int32
		reused int
	}{
		{next, len(prompts[0]) + 5},       // the last token drawn was never read
		{next, len(next) - 1},             // all but the last, whose logits are wanted
		{next[:9], 8},                     // a beginning
		{prompts[2], 0},                   // another prompt
		{append([]int32{18, 28}, 1), 2},   // one that parts from it
		{[]int32{18, 28, 18, 28, 45}, 2},  // what it parted from is gone
		{[]int32{18, 28, 18, 28, 45}, 4},  //
		{append([]int32{18}, next...), 1}, //
	} {
		out, err := g.Generate(ctx, [][]int32{c.prompt}, p, nil)
		require.NoError(t, err)
		assert.Equal(t, c.reused, out[0].Reused)
		want, _ := greedy(t, "qwen2", nil, c.prompt, 6, 1)
		assert.Equal(t, want, out[0].Tokens)
	}
	p.Reuse = false
	out, err := g.Generate(ctx, [][]int32{next}, p, nil)
	require.NoError(t, err)
	assert.Zero(t, out[0].Reused)
}

func TestAdapters(t *testing.T) {
	ctx := context.Background()
	m := withLoRA(t, tiny(t, "llama", vocab))
	a, b := adapter(m, "a"), adapter(m, "b")
	g := open(t, m, Options{MaxTokens: 40, Adapter: a})
	p := Params{MaxNewTokens: 8, Reuse: true}
	var all [][]int32
	for _, values := range []map[string][]float32{a, b, nil} {
		if all != nil {
			require.NoError(t, g.SetAdapter(values))
		}
		out, err := g.Generate(ctx, prompts[:1], p, nil)
		require.NoError(t, err)
		want, _ := greedy(t, "llama", values, prompts[0], 8, 1)
		assert.Equal(t, want, out[0].Tokens)
		assert.NotContains(t, all, out[0].Tokens)
		all = append(all, out[0].Tokens)
	}
	name := m.Params.Trainable()[0].Name
	short := adapter(m, "a")
	short[name] = short[name][1:]
	assert.ErrorIs(t, g.SetAdapter(short), failure.ErrData)
	delete(short, name)
	assert.ErrorContains(t, g.SetAdapter(short), name)
	extra := adapter(m, "a")
	extra["unknown"] = nil
	assert.ErrorContains(t, g.SetAdapter(extra), "unknown")
}

// What Plan counts is what Open reserves and what the programs come to.
func TestPlanIsExact(t *testing.T) {
	for family := range configs {
		m := withLoRA(t, tiny(t, family, vocab))
		g := open(t, m, Options{MaxTokens: 100, Sequences: 2})
		plan, err := Plan(Options{Model: m, Types: nn.Float64, MaxTokens: 100, Sequences: 2}, bindings.ReferenceProfile())
		require.NoError(t, err)
		assert.Equal(t, plan, g.Planned())
		c := m.Config
		assert.EqualValues(t, 2*c.Layers*200*c.KVHeads*c.HeadDim*8, plan.Cache)
		assert.Equal(t, plan.Plan.Total(), plan.Weights+plan.Parameters+plan.Cache+plan.Activations+plan.Staging+plan.Workspace+plan.Other)
		prompt := make([]int32, 99)
		_, err = g.Generate(context.Background(), [][]int32{prompt, prompt}, Params{Temperature: 1}, nil)
		require.NoError(t, err)
		assert.Equal(t, plan.Plan, g.Used())
	}
}

func TestEndings(t *testing.T) {
	g := open(t, tiny(t, "llama", vocab), Options{MaxTokens: 48, Sequences: 2})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	free, err := g.Generate(ctx, prompts, Params{MaxNewTokens: 12}, nil)
	require.NoError(t, err)

	stop := free[0].Tokens[5]
	out, err := g.Generate(ctx, prompts, Params{MaxNewTokens: 12, StopTokens: []int32{stop}}, nil)
	require.NoError(t, err)
	for i, c := range out {
		want, reason := free[i].Tokens, Length
		for j, id := range want {
			if id == stop {
				want, reason = want[:j], Stop
				break
			}
		}
		assert.Equal(t, append([]int32{}, want...), append([]int32{}, c.Tokens...))
		assert.Equal(t, reason, c.Reason)
		assert.Equal(t, len(prompts[i]), c.Prompt)
	}
	assert.Equal(t, Stop, out[0].Reason)

	got := make([][]int32, len(prompts))
	out, err = g.Generate(ctx, prompts, Params{MaxNewTokens: 12}, func(i int, id int32) bool {
		got[i] = append(got[i], id)
		return i != 2 || len(got[i]) < 4
	})
	require.NoError(t, err)
	assert.Equal(t, got, tokens(out))
	assert.Equal(t, Halted, out[2].Reason)
	assert.Len(t, out[2].Tokens, 4)

	out, err = g.Generate(ctx, prompts, Params{MaxNewTokens: 12}, func(i int, _ int32) bool {
		if i == 1 {
			cancel()
		}
		return true
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Cancelled, out[0].Reason)
	assert.Equal(t, free[1].Tokens[:1], out[1].Tokens)
	again, err := g.Generate(context.Background(), prompts, Params{MaxNewTokens: 12}, nil)
	require.NoError(t, err)
	assert.Equal(t, free, again)
}

func TestMistakes(t *testing.T) {
	ctx := context.Background()
	m := tiny(t, "llama", vocab)
	g := open(t, m, Options{MaxTokens: 20})
	for _, prompt := range [][]int32{{}, make([]int32, 20), {1, vocab}, {-1}} {
		_, err := g.Generate(ctx, [][]int32{{1}, prompt}, Params{}, nil)
		assert.ErrorIs(t, err, failure.ErrData)
		assert.ErrorContains(t, err, "prompt 2")
	}
	for _, p := range []Params{
		{MaxNewTokens: -1}, {Temperature: -1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: 1.1}, {TopP: -1},
		{MinP: -0.1}, {MinP: 2}, {RepetitionPenalty: -1}, {RepetitionPenalty: math.Inf(1)}, {Stream: -1},
	} {
		_, err := g.Generate(ctx, prompts[1:2], p, nil)
		assert.ErrorIs(t, err, failure.ErrConfig, "%+v", p)
	}
	for _, o := range []Options{{MaxTokens: 1}, {MaxTokens: 513}, {MaxTokens: -1}, {Sequences: -1}, {Sequences: 1 << 30}, {Chunk: -1}} {
		o.Model, o.Types, o.Source = m, nn.Float64, weights{m}
		_, err := Open(ctx, reference.New(reference.Float64), o)
		assert.ErrorIs(t, err, failure.ErrConfig, "%+v", o)
	}
	none, err := g.Generate(ctx, nil, Params{}, nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}
