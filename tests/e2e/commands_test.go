package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/device"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFromDataToMergedModel walks the README: look at the data, plan, train,
// evaluate, use the adapter, merge it.
func TestFromDataToMergedModel(t *testing.T) {
	dir := workplace(t)
	shown := done(t, dir, "data", "show", "run.yaml", "-n", "1")
	assert.Regexp(t, `⟦.*It.*⟧`, strings.ReplaceAll(shown, "\n", " "))
	assert.NotRegexp(t, `⟦[^⟧]*What`, shown, "the prompt is not trained")

	var plan struct {
		Total int64 `json:"total"`
	}
	read(t, done(t, dir, "plan", "run.yaml", "--json"), &plan)
	assert.Positive(t, plan.Total)

	var result struct {
		Steps        int              `json:"steps"`
		PlannedBytes map[string]int64 `json:"planned_bytes"`
		UsedBytes    map[string]int64 `json:"used_bytes"`
		EvalBefore   float64          `json:"eval_loss_before"`
		EvalAfter    float64          `json:"eval_loss_after"`
		Output       string           `json:"output"`
	}
	read(t, done(t, dir, "train", "run.yaml", "--json"), &result)
	assert.Equal(t, 6, result.Steps)
	assert.Equal(t, result.PlannedBytes, result.UsedBytes)
	total := int64(0)
	for _, b := range result.UsedBytes {
		total += b
	}
	assert.Equal(t, plan.Total, total, "what plan said before")
	assert.Less(t, result.EvalAfter, result.EvalBefore)
	for _, name := range []string{"config.resolved.yaml", "metrics.jsonl", "report.html", "plan.json", "run.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"} {
		assert.FileExists(t, filepath.Join(dir, "out", name))
	}

	assert.Contains(t, string(contents(t, dir, "out/report.html")), "adamw, moments in fp32, learning rate 0.01, cosine")
	done(t, dir, "eval", "run.yaml", "--adapter", "out/adapter")
	adapted := done(t, dir, "generate", "base", "--adapter", "out/adapter", "--prompt", "What is 3 and 4?", "--max-new-tokens", "8", "--dtype", "f32")
	done(t, dir, "merge", "--model", "base", "--adapter", "out/adapter", "--out", "merged")
	merged := done(t, dir, "generate", "merged", "--prompt", "What is 3 and 4?", "--max-new-tokens", "8", "--dtype", "f32")
	assert.Equal(t, adapted, merged)
	assert.NotEqual(t, adapted, done(t, dir, "generate", "base", "--prompt", "What is 3 and 4?", "--max-new-tokens", "8", "--dtype", "f32"))

	for _, args := range [][]string{
		{"inspect", "base"}, {"inspect", "out/adapter"}, {"devices"}, {"devices", "--json"}, {"version"}, {"config", "schema"}, {"config", "show", "run.yaml"},
		{"data", "check", "run.yaml"}, {"data", "stats", "run.yaml"}, {"selfcheck", "base"}, {"completion", "bash"},
	} {
		assert.NotEmpty(t, done(t, dir, args...), args)
	}
}

// TestWithoutCgo: what computes says that it is slow, unless a device is named,
// and a native device is refused. A build with cgo says nothing.
func TestWithoutCgo(t *testing.T) {
	dir := workplace(t)
	for _, c := range []struct {
		args []string
		slow bool
	}{
		{[]string{"plan", "run.yaml"}, true}, {[]string{"plan", "run.yaml", "--device", "reference"}, false},
		{[]string{"quantize", "--help"}, false}, {[]string{"version"}, false},
		{[]string{"generate", "base", "--prompt", "What", "--max-new-tokens", "1"}, true},
	} {
		o := graft(t, dir, c.args...)
		assert.Zero(t, o.code, o.stderr)
		assert.Equal(t, c.slow && !device.Native, strings.Contains(o.stderr, "slow and exact"), "%s: %s", c.args, o.stderr)
	}
	if !device.Native {
		o := graft(t, dir, "train", "run.yaml", "--device", "cpu")
		assert.Equal(t, 69, o.code)
		assert.Contains(t, o.stderr, "device cpu: this build has no native code (CGO_ENABLED=0)")
	}
}

// TestJSONIsYAML: the same run, written as JSON, on tokens without a
// tokenizer.
func TestJSONIsYAML(t *testing.T) {
	dir := workplace(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "base", "tokenizer.json")))
	write(t, dir, "tokens.jsonl", `{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8]}`+"\n"+`{"input_ids": [9, 10, 11]}`+"\n")
	write(t, dir, "run.json", `{"device": "`+processor+`", "model": {"path": "base"}, "data": {"train": "tokens.jsonl", "shuffle": false, "packing": false},
		"train": {"num_epochs": 1, "max_steps": 2, "micro_batch_size": 1, "gradient_accumulation_steps": 1, "output_dir": "out"}}`)
	done(t, dir, "train", "run.json")
	metrics, err := os.ReadFile(filepath.Join(dir, "out", "metrics.jsonl"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(metrics)), "\n")
	require.Len(t, lines, 2)
	for i, want := range []int{2, 2} { // the first of a sequence has nothing before it
		var line struct {
			TargetTokens int `json:"target_tokens"`
		}
		read(t, lines[i], &line)
		assert.Equal(t, want, line.TargetTokens, "step %d", i+1)
	}
}

func read(t *testing.T, text string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), into), text)
}

// TestPlanWithoutWeights plans each method before its base is downloaded: as
// with the weights, byte for byte.
func TestPlanWithoutWeights(t *testing.T) {
	dir := workplace(t)
	furnish(t, dir) // a base whose rows are blocks of nf4, and records with labels
	plan := func(method string) string {
		run := strings.Replace(runFile, "type: lora, r: 4, lora_alpha: 8", method, 1)
		if strings.HasPrefix(method, "type: head") {
			run = strings.Replace(run, "train: train.jsonl", "train: test.jsonl", 1)
		}
		write(t, dir, "plan.yaml", run)
		return done(t, dir, "plan", "plan.yaml", "--json", "--memory", "4GiB", "--set", "model.dtype=f32", "--set", "data.cache=none")
	}
	methods := []string{"type: full", "type: lora", "type: qlora", "type: prompt", "type: ptuning", "type: prefix", "type: head", "type: head, beneath: lora"}
	with := map[string]string{}
	for _, m := range methods {
		with[m] = plan(m)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "base/model.safetensors")))
	for _, m := range methods {
		require.Equal(t, with[m], plan(m), m)
	}
	stopped := graft(t, dir, "train", "run.yaml")
	require.Equal(t, 66, stopped.code)
	require.Contains(t, stopped.stderr, "neither model.safetensors nor")
}
