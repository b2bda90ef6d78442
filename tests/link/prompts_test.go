package link

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestResumeVirtualTokens: prompt tuning, P-tuning and prefix tuning, packed. A
// run that was stopped and resumed ends with the bits of one that was not; it
// used what was planned; and another run goes on from what it wrote.
func TestResumeVirtualTokens(t *testing.T) {
	dir := t.TempDir()
	write(t, dir)
	run := func(ctx context.Context, method, out string, resume bool, on func(train.Event)) (train.Result, error) {
		c, err := config.Parse("link", fmt.Appendf(nil, `
device: cpu
threads: 2
model: {path: %q}
method: {%s}
data: {train: %q, max_seq_length: 16, val_set_size: 2}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
`, filepath.Join(dir, "base"), method, filepath.Join(dir, "train.jsonl"), steps, filepath.Join(dir, out)), nil)
		require.NoError(t, err)
		r, err := graft.Prepare(ctx, c, graft.Options{})
		require.NoError(t, err)
		defer func() { assert.NoError(t, r.Close()) }()
		return r.Train(ctx, resume, on)
	}
	file := func(r train.Result) []byte {
		raw, err := os.ReadFile(filepath.Join(r.Output, "adapter_model.safetensors"))
		require.NoError(t, err)
		return raw
	}
	for i, method := range []string{
		"type: prompt, num_virtual_tokens: 3", "type: ptuning, num_virtual_tokens: 3, encoder_hidden_size: 8",
		"type: prefix, num_virtual_tokens: 3", "type: prefix, num_virtual_tokens: 3, prefix_projection: true",
	} {
		t.Run(method, func(t *testing.T) {
			out := func(name string) string { return fmt.Sprint(name, i) }
			whole, err := run(t.Context(), method, out("whole"), false, nil)
			require.NoError(t, err)
			assert.Equal(t, whole.Planned, whole.Used)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err = run(ctx, method, out("halves"), false, func(e train.Event) {
				if e.Step == 2 {
					cancel()
				}
			})
			require.ErrorIs(t, err, failure.ErrPreempted)
			resumed, err := run(t.Context(), method, out("halves"), true, nil)
			require.NoError(t, err)
			assert.Equal(t, file(whole), file(resumed))

			kind := "prompt"
			if i > 1 {
				kind = "prefix"
			}
			further, err := run(t.Context(), fmt.Sprintf("type: %s, init_from: %q", kind, whole.Output), out("further"), false, nil)
			require.NoError(t, err)
			assert.InEpsilon(t, *whole.EvalAfter, *further.EvalBefore, 1e-5)
		})
	}
}
