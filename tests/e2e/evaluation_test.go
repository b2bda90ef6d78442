package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEvaluateHead: graft eval of a head gives what result.json has, and nothing
// that only text has.
func TestEvaluateHead(t *testing.T) {
	dir := workplace(t)
	labelled := func(name string, label func(i int) any) {
		var lines strings.Builder
		for i := range 12 {
			text, err := json.Marshal(map[string]any{"text": fmt.Sprintf("What is %d?", i), "label": label(i)})
			require.NoError(t, err)
			lines.Write(append(text, '\n'))
		}
		write(t, dir, name, lines.String())
	}
	labelled("classes.jsonl", func(i int) any { return []string{"even", "odd"}[i%2] })
	labelled("numbers.jsonl", func(i int) any { return float64(i) / 4 })
	for task, shown := range map[string]struct{ has, not []string }{
		"classes": {[]string{`rows +12`, `accuracy +\d`, `macro_f1`, `micro_f1`, `class +right +wrongly +missed +precision +recall +F1`, `even +\d`, `label \\ answer +even +odd`}, []string{"perplexity", "mse"}},
		"numbers": {[]string{`rows +12`, `mse +\d`, `mae +\d`, `r2 +-?\d`}, []string{"perplexity", "accuracy", "class"}},
	} {
		write(t, dir, task+".yaml", fmt.Sprintf("device: %s\nmodel: {path: base}\nmethod: {type: head}\ndata: {train: %s.jsonl, eval: %s.jsonl}\ntrain: {max_steps: 3, output_dir: runs/%s}\n", processor, task, task, task))
		var trained, evaluated struct {
			Evaluation any     `json:"evaluation"`
			Loss       float64 `json:"loss"`
			Perplexity any     `json:"perplexity"`
		}
		done(t, dir, "train", task+".yaml")
		read(t, string(contents(t, dir, "runs/"+task+"/result.json")), &trained)
		require.NotNil(t, trained.Evaluation)
		read(t, done(t, dir, "eval", "runs/"+task, "--json"), &evaluated)
		assert.Equal(t, trained.Evaluation, evaluated.Evaluation)
		assert.Positive(t, evaluated.Loss)
		assert.Nil(t, evaluated.Perplexity)
		text := done(t, dir, "eval", task+".yaml", "--adapter", "runs/"+task+"/adapter")
		for _, part := range shown.has {
			assert.Regexp(t, part, text)
		}
		for _, part := range shown.not {
			assert.NotContains(t, text, part)
		}
	}
}

// TestEvaluateRun: a run, and the adapter in it, stand for their own settings;
// --data is another file.
func TestEvaluateRun(t *testing.T) {
	dir := workplace(t)
	o := graft(t, dir, "eval", "base")
	assert.Equal(t, 66, o.code)
	assert.Contains(t, o.stderr, "config.resolved.yaml is not there: base is no directory of a run")
	done(t, dir, "train", "run.yaml")
	want := done(t, dir, "eval", "run.yaml", "--adapter", "out/adapter", "--json")
	for _, path := range []string{"out", "out/", "out/adapter"} {
		assert.Equal(t, want, done(t, dir, "eval", path, "--json"), path)
	}
	assert.NotEqual(t, want, done(t, dir, "eval", "run.yaml", "--json"), "the base alone")
	write(t, dir, "other.jsonl", `{"prompt": "What is 3 and 4?", "completion": " It is 7."}`+"\n")
	other := done(t, dir, "eval", "out", "--data", "other.jsonl", "--json")
	assert.NotEqual(t, want, other)
	assert.Equal(t, other, done(t, dir, "eval", "run.yaml", "--adapter", "out/adapter", "--set", "data.eval=other.jsonl", "--set", "data.val_set_size=0", "--json"))

	// Virtual tokens are read without the network that gave them.
	for method, as := range map[string]string{
		"type: ptuning, num_virtual_tokens: 4, encoder_hidden_size: 8": "type: prompt, num_virtual_tokens: 4",
		"type: prefix, num_virtual_tokens: 4, prefix_projection: true": "type: prefix, num_virtual_tokens: 4",
	} {
		name := strings.TrimSuffix(strings.Fields(method)[1], ",")
		for file, text := range map[string]string{"virtual.yaml": method, "plain.yaml": as} {
			write(t, dir, file, strings.NewReplacer("type: lora, r: 4, lora_alpha: 8", text, "output_dir: out", "output_dir: "+name).Replace(runFile))
		}
		done(t, dir, "train", "virtual.yaml")
		want := done(t, dir, "eval", "plain.yaml", "--adapter", name+"/adapter", "--json")
		assert.Equal(t, want, done(t, dir, "eval", name, "--json"), method)
		assert.Equal(t, want, done(t, dir, "eval", "virtual.yaml", "--adapter", name+"/adapter", "--json"), method)
		assert.NotEqual(t, want, done(t, dir, "eval", "plain.yaml", "--json"), method)
	}

	write(t, dir, "full.yaml", strings.Replace(runFile, "type: lora, r: 4, lora_alpha: 8", "type: full", 1))
	done(t, dir, "train", "full.yaml", "--set", "train.output_dir=full")
	assert.Equal(t, done(t, dir, "eval", "full.yaml", "--set", "model.path=full/model", "--json"), done(t, dir, "eval", "full", "--json"))
}
