package link

import (
	"fmt"
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGoOnFromVirtualTokens: prompt tuning, P-tuning and prefix tuning. Another
// run goes on from what one wrote, as one of prompt where a network gave it.
func TestGoOnFromVirtualTokens(t *testing.T) {
	dir := t.TempDir()
	write(t, dir)
	run := func(method, out string) (train.Result, error) {
		c, err := config.Parse("link", fmt.Appendf(nil, `
device: cpu
threads: 2
model: {path: %q}
method: {%s}
data: {train: %q, max_seq_length: 16, val_set_size: 2}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
`, filepath.Join(dir, "base"), method, filepath.Join(dir, "train.jsonl"), steps, filepath.Join(dir, out)), nil)
		require.NoError(t, err)
		r, err := graft.Prepare(t.Context(), c, graft.Options{})
		require.NoError(t, err)
		defer func() { assert.NoError(t, r.Close()) }()
		return r.Train(t.Context(), false, nil)
	}
	for i, method := range []string{
		"type: prompt, num_virtual_tokens: 3", "type: ptuning, num_virtual_tokens: 3, encoder_hidden_size: 8",
		"type: prefix, num_virtual_tokens: 3", "type: prefix, num_virtual_tokens: 3, prefix_projection: true",
	} {
		t.Run(method, func(t *testing.T) {
			out := func(name string) string { return fmt.Sprint(name, i) }
			whole, err := run(method, out("whole"))
			require.NoError(t, err)
			assert.Equal(t, whole.Planned, whole.Used)
			kind := "prompt"
			if i > 1 {
				kind = "prefix"
			}
			further, err := run(fmt.Sprintf("type: %s, init_from: %q", kind, whole.Output), out("further"))
			require.NoError(t, err)
			assert.InEpsilon(t, *whole.EvalAfter, *further.EvalBefore, 1e-5)
		})
	}
}
