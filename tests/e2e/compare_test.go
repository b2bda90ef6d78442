package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompareTrainsEachMethod on the same data: planned and used agree, what it
// writes is there, and a method that cannot be trained says why.
func TestCompareTrainsEachMethod(t *testing.T) {
	dir := workplace(t)
	var all []struct {
		Method       string `json:"method"`
		PlannedBytes int64  `json:"planned_bytes"`
		UsedBytes    int64  `json:"used_bytes"`
		FileBytes    int64  `json:"file_bytes"`
		Steps        int    `json:"steps"`
		Output       string `json:"output"`
		Refused      string `json:"refused"`
	}
	read(t, done(t, dir, "compare", "run.yaml", "--methods", "full,lora,qlora", "--json"), &all)
	require.Len(t, all, 3)
	for _, c := range all[:2] {
		require.Empty(t, c.Refused, c.Method)
		assert.Equal(t, c.PlannedBytes, c.UsedBytes, c.Method)
		assert.Equal(t, 6, c.Steps, c.Method)
		assert.Positive(t, c.FileBytes, c.Method)
		assert.DirExists(t, filepath.Join(dir, c.Output), c.Method)
	}
	assert.Contains(t, all[2].Refused, "multiple of 64", "32 inputs are no block of nf4")
	page := string(contents(t, dir, "out", "compare.html"))
	assert.NotContains(t, page, "http", "the page needs no network")
	for _, m := range []string{"full", "lora", "qlora"} {
		assert.Contains(t, page, `<th scope="row">`+m)
	}
}

// TestCompareReplacesOnlyItsOwn: directories of an earlier comparison, and not
// while somebody works there; what anything else made stays, and nothing is
// trained beside it.
func TestCompareReplacesOnlyItsOwn(t *testing.T) {
	dir := workplace(t)
	compare := func(methods string) output {
		return graft(t, dir, "compare", "run.yaml", "--methods", methods, "--set", "train.max_steps=1")
	}
	refused := func(methods, says string) {
		t.Helper()
		o := compare(methods)
		assert.Equal(t, 78, o.code, o.stderr)
		assert.Contains(t, o.stderr, says)
	}
	write(t, dir, "out/full/model/model.safetensors", "somebody's")
	refused("lora,full", "train.output_dir out/full is not empty; go on with that run by --resume auto, or choose another directory")
	assert.Equal(t, "somebody's", string(contents(t, dir, "out/full/model/model.safetensors")))
	assert.NoDirExists(t, filepath.Join(dir, "out/lora"))

	require.Zero(t, compare("lora").code)
	write(t, dir, "out/lora/left.txt", "")
	o := compare("lora")
	require.Zero(t, o.code, o.stderr)
	assert.NoFileExists(t, filepath.Join(dir, "out/lora/left.txt"))

	f, err := os.Open(filepath.Join(dir, "out/lora/.lock"))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	refused("lora", "out/lora is in use by another run")
	f.Close()

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "out/lora/checkpoints"))) // or the run has ended, and nobody goes on with it
	done(t, dir, "train", "run.yaml", "--resume", "auto", "--set", "train.output_dir=out/lora", "--set", "train.max_steps=1")
	refused("lora", "out/lora is not empty")
	assert.FileExists(t, filepath.Join(dir, "out/lora/adapter/adapter_model.safetensors"))
}

// TestCompareLabelled: records with labels are for heads, whose accuracy stands
// in the table.
func TestCompareLabelled(t *testing.T) {
	dir := workplace(t)
	labelled := ""
	for i := range 16 {
		labelled += fmt.Sprintf(`{"text": "What is %d?", "label": %q}`+"\n", i, []string{"even", "odd"}[i%2])
	}
	write(t, dir, "labelled.jsonl", labelled)
	args := []string{"compare", "run.yaml", "--set", "data.train=labelled.jsonl", "--set", "train.max_steps=2"}
	var all []struct {
		Method   string             `json:"method"`
		Refused  string             `json:"refused"`
		Measures map[string]float64 `json:"eval_measures"`
	}
	read(t, done(t, dir, append(args, "--json")...), &all)
	require.Len(t, all, 2)
	for i, name := range []string{"head", "head+lora"} {
		assert.Equal(t, name, all[i].Method)
		assert.Empty(t, all[i].Refused)
		assert.Contains(t, all[i].Measures, "accuracy")
		assert.Contains(t, all[i].Measures, "macro_f1")
	}
	page := string(contents(t, dir, "out", "compare.html"))
	assert.Contains(t, page, `<th scope="col">macro F1</th>`)
	text := done(t, dir, args...)
	assert.Regexp(t, `loss after +accuracy +macro F1\n`, text)
	assert.Regexp(t, `\nhead\+lora +labels that the frozen base`, text)
}
