package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alternatives are what graft plan --compare --json says.
type alternatives struct {
	Memory, Records int
	Advice          string
	Methods         []struct {
		Method, Total any
		Trainable     int
		FileBytes     int64 `json:"file_bytes"`
		LargestBatch  int   `json:"largest_micro_batch"`
		LargestRow    int   `json:"largest_sequence"`
		Bytes         map[string]int64
	}
}

// TestPlanOfARun: the parts are the whole, and what fits is what the comparison
// of methods finds for the same rows.
func TestPlanOfARun(t *testing.T) {
	dir := workplace(t)
	var p struct {
		Bytes     map[string]int64
		Total     int64
		FileBytes int64   `json:"file_bytes"`
		PerToken  float64 `json:"flops_per_token"`
		Room      struct {
			Memory       int64
			LargestBatch int `json:"largest_micro_batch"`
			LargestRow   int `json:"largest_sequence"`
		}
	}
	read(t, done(t, dir, "plan", "run.yaml", "--memory", "48MiB", "--set", "threads=2", "--json"), &p)
	delete(p.Bytes, "saved")
	sum := int64(0)
	for _, n := range p.Bytes {
		sum += n
	}
	assert.Equal(t, p.Total, sum)
	assert.Positive(t, p.Bytes["logits"])
	assert.Positive(t, p.PerToken)
	assert.EqualValues(t, 48<<20, p.Room.Memory)

	var all alternatives
	read(t, done(t, dir, "plan", "run.yaml", "--compare", "lora", "--memory", "48MiB", "--set", "threads=2", "--json"), &all)
	assert.Equal(t, all.Methods[0].LargestBatch, p.Room.LargestBatch)
	assert.Equal(t, all.Methods[0].LargestRow, p.Room.LargestRow)
	assert.Equal(t, all.Methods[0].FileBytes, p.FileBytes)
	assert.Greater(t, p.Room.LargestBatch, 2)

	text := done(t, dir, "plan", "run.yaml", "--memory", "48MiB", "--set", "threads=2")
	for _, says := range []string{`its file takes 1\d\.\d KiB`, `\n +logits +`, `GFLOP for \d+ tokens, [\d.e-]+ a token`, `room +48.0 MiB would hold a micro-batch of \d+ rows of 96 tokens, or one row of 128\n`} {
		assert.Regexp(t, says, text)
	}
}

// TestPlanComparison: what --set and the records of a run file decide, and the
// shapes that are known by name.
func TestPlanComparison(t *testing.T) {
	dir := workplace(t)
	compare := func(args ...string) (all alternatives) {
		read(t, done(t, dir, append([]string{"plan", "--json"}, args...)...), &all)
		return all
	}
	all := compare("run.yaml", "--compare", "full,lora")
	require.Len(t, all.Methods, 2, "lora is the file's own")
	assert.Equal(t, 24, all.Records)
	assert.Contains(t, all.Advice, "24 records")
	assert.NotContains(t, all.Advice, "0.0 GiB")
	assert.Contains(t, compare("run.yaml", "--compare", "lora", "--records", "5").Advice, "5 records")
	assert.Zero(t, compare("run.yaml", "--compare", "lora", "--set", "data.train=absent.jsonl").Records)

	both := compare("--model", "smollm2-135m", "--compare", "lora,qlora", "--set", "method.r=8").Methods
	assert.Equal(t, both[0].Trainable, both[1].Trainable)
	assert.Equal(t, 2*both[0].Trainable, compare("--model", "smollm2-135m", "--set", "method.r=16").Methods[0].Trainable)
	assert.Len(t, compare("--model", "smollm2-135m", "--compare", "all").Methods, 8)

	text := done(t, dir, "plan", "--model", "llama-3.1-70b", "--compare", "qlora", "--device", "cuda:7", "--memory", "24GiB")
	assert.Regexp(t, `qlora does not fit in 24.00 GiB: it needs \d+\.\d+ GiB resident; with a frozen base streamed two layers at a time, which graft does not do, \d+\.\d+ GiB`, text)
	text = done(t, dir, "plan", "--model", "llama-3.1-70b", "--compare", "qlora", "--device", "cuda:7")
	assert.Regexp(t, `qlora needs \d+\.\d+ GiB resident; with a frozen base streamed`, text, "where the memory is not known")

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--compare", "lora"}, 2, "takes a run file, or --model"},
		{[]string{"run.yaml", "--compare", "ia3"}, 2, "--compare ia3: the methods are full, lora"},
		{[]string{"run.yaml", "--compare", "lora,prompt", "--set", "method.r=8"}, 78, "method.r has no effect with method.type prompt"},
		{[]string{"--model", "no-such-model"}, 66, "none of the shapes that are known by name"},
	} {
		o := graft(t, dir, append([]string{"plan"}, c.args...)...)
		assert.Equal(t, c.code, o.code, c.args)
		assert.Contains(t, o.stderr, c.says)
	}
}

// TestPlanKnowsItsMachine: without a limit it plans for what the device has
// free, as training does.
func TestPlanKnowsItsMachine(t *testing.T) {
	dir := workplace(t)
	var devices []struct {
		Name        string
		Description *struct{}
	}
	read(t, done(t, dir, "devices", "--json"), &devices)
	if devices[0].Description == nil {
		t.Skip("a build without cgo does not know its memory")
	}
	var all alternatives
	read(t, done(t, dir, "plan", "run.yaml", "--compare", "lora", "--json"), &all)
	assert.Positive(t, all.Memory)
	assert.Positive(t, all.Methods[0].LargestBatch)
}

// TestPlannedFile: the file of a task is as large as planned, but for its header.
func TestPlannedFile(t *testing.T) {
	dir := workplace(t)
	for method, file := range map[string]string{"full": "model/model.safetensors", "lora": "adapter/adapter_model.safetensors", "lora, init: pissa": "adapter/adapter_model.safetensors", "prompt": "adapter/adapter_model.safetensors"} {
		write(t, dir, "one.yaml", strings.Replace(runFile, "type: lora, r: 4, lora_alpha: 8", "type: "+method, 1))
		var p struct {
			FileBytes int64 `json:"file_bytes"`
		}
		run := strings.ReplaceAll(method, ", init: ", "-")
		out := []string{"--set", "train.output_dir=" + run, "--set", "train.max_steps=1"}
		read(t, done(t, dir, append([]string{"plan", "one.yaml", "--json"}, out...)...), &p)
		done(t, dir, append([]string{"train", "one.yaml"}, out...)...)
		stat, err := os.Stat(filepath.Join(dir, run, file))
		require.NoError(t, err)
		assert.InDelta(t, p.FileBytes, stat.Size(), 8<<10, method)
		assert.GreaterOrEqual(t, stat.Size(), p.FileBytes, method)
	}
}
