package parity_test

import (
	"fmt"
	"testing"

	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// close is the relative L2 distance from PyTorch that float32 results stay
// within: ten times what PyTorch itself is from float64 on such models.
const close = 1e-5

func TestLogits(t *testing.T) {
	for _, family := range families {
		for _, k := range []kind{exact, single} {
			t.Run(family+"/"+k.name, func(t *testing.T) {
				f := read(t, family)
				for i := range f.Rows {
					got := logits(t, k, setting{config: f.config(t), source: f.checkpoint(t)}, f.row(i))
					assert.Less(t, distance(f.tensor(t, fmt.Sprintf("logits.%d", i)), got), close, "row %d", i)
				}
			})
		}
	}
}

// TestAdapterOfPEFT loads what PEFT wrote after training.
func TestAdapterOfPEFT(t *testing.T) {
	for _, family := range families {
		for _, name := range adapters {
			t.Run(family+"/"+name, func(t *testing.T) {
				f := read(t, family)
				for _, k := range []kind{exact, single} {
					s := setting{config: f.config(t), source: f.checkpoint(t), method: f.method(t, name), adapter: f.adapter(name, "final")}
					assert.Less(t, distance(f.tensor(t, name+".logits"), logits(t, k, s, f.row(2))), close, k.name)
				}
			})
		}
	}
}

// TestRopeScalings runs the weights of "llama" with other config.json files.
func TestRopeScalings(t *testing.T) {
	f := read(t, "llama")
	for rope, text := range f.Ropes {
		c, err := model.ParseConfig(rope, text)
		require.NoError(t, err)
		for _, k := range []kind{exact, single} {
			t.Run(rope+"/"+k.name, func(t *testing.T) {
				for i := range f.Rows {
					got := logits(t, k, setting{config: c, source: f.checkpoint(t)}, f.row(i))
					assert.Less(t, distance(f.tensor(t, fmt.Sprintf("rope.%s.%d", rope, i)), got), close, "row of %d tokens", len(f.Rows[i].IDs))
				}
			})
		}
	}
	require.Len(t, f.Ropes, 4)
}

// TestLoss: each row alone.
func TestLoss(t *testing.T) {
	for _, family := range families {
		for _, k := range []kind{exact, single} {
			t.Run(family+"/"+k.name, func(t *testing.T) {
				f := read(t, family)
				e := open(t, k, f.setting(t, "full"))
				for i, want := range f.Losses {
					batches := f.apart([]int{i})
					assert.Len(t, batches[0].Targets, want.Count)
					got, err := e.Evaluate(batches)
					require.NoError(t, err)
					assert.InEpsilon(t, want.Sum/float64(want.Count), got.Loss, close, "row %d", i)
				}
			})
		}
	}
}
