package generate

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
)

// three are the adapters of the tests: of other layers, ranks and kinds.
var three = []lora.Config{
	{R: 3, Alpha: 6, Targets: []string{"q_proj", "v_proj", "down_proj"}},
	{R: 2, Alpha: 2, Targets: []string{"all-linear"}},
	{R: 4, Alpha: 4, Targets: []string{"q_proj", "up_proj"}, DoRA: true},
}

// stacked attaches them beside each other, with values by number.
func stacked(t testing.TB, m *model.Model) map[string][]float32 {
	values := map[string][]float32{}
	for i, c := range three {
		c.As, c.Gate = strconv.Itoa(i), i
		require.NoError(t, c.Attach(m, 1))
	}
	for i := range three {
		for name, v := range valuesOf(t, i) {
			values[fmt.Sprintf("%d: %s", i, name)] = v
		}
	}
	return values
}

func valuesOf(t testing.TB, i int) map[string][]float32 {
	m := tiny(t, "llama", vocab)
	require.NoError(t, three[i].Attach(m, 1))
	return adapter(m, strconv.Itoa(i))
}

// ungated attaches the adapters of a mix alone, with their weights in B.
func ungated(t testing.TB, m *model.Model, mix Mix) map[string][]float32 {
	values := map[string][]float32{}
	for i, w := range mix {
		if w == 0 {
			continue
		}
		c := three[i]
		c.As = strconv.Itoa(i)
		require.NoError(t, c.Attach(m, 1))
		for name, v := range valuesOf(t, i) {
			if strings.HasSuffix(name, "lora_B.weight") { // exact, for the weights are powers of two
				for j := range v {
					v[j] *= w
				}
			}
			values[fmt.Sprintf("%d: %s", i, name)] = v
		}
	}
	return values
}

// mixed are prompts and what each asks for: the first of each adapter, two
// adapters together, one taken away, none, and an adapter a second time.
var mixed = []struct {
	prompt []int32
	mix    Mix
}{
	{prompts[0], Mix{1, 0, 0}},
	{prompts[0], Mix{0, 1, 0}},
	{prompts[0], Mix{0, 0, 1}},
	{prompts[2], Mix{0.5, 0.25, 0}},
	{prompts[3], Mix{-0.5, 1, 0}},
	{prompts[0], Mix{0, 0, 0}},
	{prompts[1], Mix{0, 0, 1}},
	{prompts[2], Mix{1, 0, 0}},
}

// TestAdapterByRow: each row of one batch, with adapters of its own, gives the
// tokens and logits that it gives alone, from a model that has only these
// adapters and no weights by token. In float64 logits agree to 1e-12 of their
// size: a term of weight 0 adds nothing, and a weight is multiplied in another
// place.
func TestAdapterByRow(t *testing.T) {
	ctx := context.Background()
	const n = 10
	m := tiny(t, "llama", vocab)
	g := open(t, m, Options{MaxTokens: 40, Sequences: len(mixed), Adapters: len(three), Adapter: stacked(t, m)})
	batch, mixes := make([][]int32, len(mixed)), make([]Mix, len(mixed))
	for i, x := range mixed {
		batch[i], mixes[i] = x.prompt, x.mix
	}
	together, err := g.Generate(ctx, batch, Params{MaxNewTokens: n, Mixes: mixes}, nil)
	require.NoError(t, err)
	logits := doubles(t, g.dev, g.logits)
	for i, x := range mixed {
		m := tiny(t, "llama", vocab)
		alone := open(t, m, Options{MaxTokens: 40, Adapter: ungated(t, m, x.mix)})
		want, err := alone.Generate(ctx, batch[i:i+1], Params{MaxNewTokens: n}, nil)
		require.NoError(t, err)
		assert.Equal(t, want[0].Tokens, together[i].Tokens, "row %d, %v", i, x.mix)
		for j, z := range doubles(t, alone.dev, alone.logits) {
			assert.InDelta(t, z, logits[i*vocab+j], 1e-12*math.Max(1, math.Abs(z)), "row %d, logit %d", i, j)
		}
	}
	long := make([][]int32, len(mixed))
	for i := range long {
		long[i] = make([]int32, 39)
	}
	_, err = g.Generate(ctx, long, Params{Temperature: 1, Mixes: mixes}, nil)
	require.NoError(t, err)
	assert.Equal(t, g.Planned().Plan, g.Used())
	shifted := append(append([]Mix(nil), mixes[1:]...), mixes[0])
	others, err := g.Generate(ctx, batch, Params{MaxNewTokens: n, Mixes: shifted}, nil)
	require.NoError(t, err)
	for _, i := range []int{0, 1, 2, 4, 5} {
		assert.NotEqual(t, together[i].Tokens, others[i].Tokens, "row %d with the adapters of the next", i)
	}

	// Fewer places than rows: a place is taken over by a row with other adapters.
	m = tiny(t, "llama", vocab)
	g = open(t, m, Options{MaxTokens: 40, Sequences: 2, Adapters: len(three), Adapter: stacked(t, m)})
	for range 2 { // what the cache holds of other adapters is not used
		some, err := g.Generate(ctx, batch, Params{MaxNewTokens: n, Mixes: mixes, Reuse: true}, nil)
		require.NoError(t, err)
		assert.Equal(t, tokens(together), tokens(some))
	}
	_, err = g.Generate(ctx, batch, Params{Mixes: mixes[:3]}, nil)
	assert.ErrorContains(t, err, "3 mixes")
	_, err = g.Generate(ctx, batch, Params{Mixes: []Mix{{1, 2}}}, nil)
	assert.ErrorContains(t, err, "2 weights")
}
