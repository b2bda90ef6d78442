package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInspectFourBits: a matrix in four bits has the parameters that it stands
// for, and a file of tensors is a list.
func TestInspectFourBits(t *testing.T) {
	dir, err := filepath.Abs("../parity/testdata/qlora")
	require.NoError(t, err)
	for path, quantised := range map[string]string{".": "", "nf4": "nf4, 14 matrices, their scales quantised in turn", "nf4-plain": "nf4, 14 matrices"} {
		var model struct {
			Parameters int64
			Quantised  string
		}
		read(t, done(t, dir, "inspect", path, "--json"), &model)
		assert.EqualValues(t, 81856, model.Parameters, path)
		assert.Equal(t, quantised, model.Quantised, path)
	}
	var file struct {
		Tensors int
		List    []struct {
			Name, DType string
			Shape       []int
		}
	}
	read(t, done(t, dir, "inspect", "model.safetensors", "--json"), &file)
	require.Len(t, file.List, file.Tensors)
	for _, x := range file.List {
		assert.NotEmpty(t, x.Name)
		assert.NotEmpty(t, x.DType)
		assert.NotEmpty(t, x.Shape)
	}
	assert.Contains(t, done(t, dir, "inspect", "model.safetensors"), "model.norm.weight BF16 [64]")
}

// TestAdapterCommands list and describe what every method writes, and compare and
// combine those of LoRA.
func TestAdapterCommands(t *testing.T) {
	dir := workplace(t)
	write(t, dir, "labels.jsonl", strings.Repeat(`{"text": "What is 3?", "label": "odd"}`+"\n"+`{"text": "What is 4?", "label": "even"}`+"\n", 4))
	for name, method := range map[string]string{
		"lora": "{type: lora, r: 4}", "other": "{type: lora, r: 4}", "prompt": "{type: prompt, num_virtual_tokens: 6}",
		"ptuning": "{type: ptuning, num_virtual_tokens: 6}", "prefix": "{type: prefix, num_virtual_tokens: 5}", "head": "{type: head}",
	} {
		text := strings.NewReplacer("{type: lora, r: 4, lora_alpha: 8}", method, "max_steps: 6", "max_steps: 1", "max_seq_length: 96", "max_seq_length: 64").Replace(runFile)
		if name == "head" {
			text = strings.Replace(text, "train.jsonl", "labels.jsonl", 1)
		}
		write(t, dir, name+".yaml", text)
		done(t, dir, "train", name+".yaml", "--set", "train.output_dir=runs/"+name)
	}
	var all []map[string]any
	read(t, done(t, dir, "adapter", "ls", "runs", "--json"), &all)
	require.Len(t, all, 6)
	for _, a := range all {
		path := a["path"].(string)
		name := filepath.Base(filepath.Dir(path))
		want := map[string]any{"lora": "lora", "other": "lora", "prompt": "prompt", "ptuning": "ptuning", "prefix": "prefix", "head": "head"}[name]
		assert.Equal(t, want, a["type"], path)
		assert.Equal(t, "base", a["base"], path)
		assert.Positive(t, a["parameters"], path)
		assert.Positive(t, a["bytes"], path)
		switch name {
		case "lora":
			assert.EqualValues(t, 4, a["r"])
		case "prompt", "ptuning":
			assert.EqualValues(t, 6, a["num_virtual_tokens"])
			assert.EqualValues(t, 6*32, a["parameters"])
		case "prefix":
			assert.EqualValues(t, 5*2*2*16, a["parameters"])
		}
		var info map[string]any
		read(t, done(t, dir, "adapter", "info", path, "--json"), &info)
		assert.Equal(t, a, info)
		assert.Contains(t, done(t, dir, "adapter", "info", path), want)
	}
	assert.Regexp(t, `runs/prompt/adapter +prompt +num_virtual_tokens 6, 192 parameters, .* KiB, base base`, done(t, dir, "adapter", "ls", "runs"))

	var d struct{ Distance, Cosine float64 }
	read(t, done(t, dir, "adapter", "diff", "runs/lora/adapter", "runs/other/adapter", "--json"), &d)
	assert.InDelta(t, 0, d.Distance, 1e-6, "the same run twice")
	var both struct {
		Output string
		Layers int
	}
	read(t, done(t, dir, "adapter", "combine", "--out", "both", "runs/lora/adapter:0.5", "runs/other/adapter:0.5", "--json"), &both)
	assert.Equal(t, "both", both.Output)
	assert.Equal(t, 14, both.Layers)
	read(t, done(t, dir, "adapter", "diff", "runs/lora/adapter", "both", "--json"), &d)
	assert.InDelta(t, 0, d.Distance, 1e-6)
}

// TestSmallCommands: those without a test of their own, each in its cheapest form.
func TestSmallCommands(t *testing.T) {
	dir := workplace(t)
	for shell, part := range map[string]string{"bash": "complete -F", "zsh": "#compdef graft", "fish": "complete -c graft"} {
		script := done(t, dir, "completion", shell)
		assert.Contains(t, script, part)
		if path, err := exec.LookPath(shell); err == nil {
			write(t, dir, "script", script)
			out, err := exec.Command(path, "-n", filepath.Join(dir, "script")).CombinedOutput()
			assert.NoError(t, err, "%s: %s", shell, out)
		}
	}
	assert.Equal(t, done(t, dir, "data", "pack", "run.yaml", "--set", "data.cache=none"), done(t, dir, "data", "preprocess", "run.yaml", "--set", "data.cache=none"))
	planned := []string{"run.yaml", "--json", "--memory", "4GiB", "--set", "data.cache=none"}
	plan := done(t, dir, append([]string{"plan"}, planned...)...)
	assert.Equal(t, plan, done(t, dir, append([]string{"estimate"}, planned...)...))
	assert.Equal(t, plan, done(t, dir, append([]string{"train", "--dry-run"}, planned...)...), "the plan alone")
	assert.NoDirExists(t, filepath.Join(dir, "out"))

	c := command(t.Context(), dir, "tokenize", "base", "--json")
	c.Stdin = strings.NewReader(`{"text": "What is 3?"}` + "\n")
	o := finish(t, c)
	require.Zero(t, o.code, o.stderr)
	write(t, dir, "ids.jsonl", o.stdout)
	var tokens struct{ IDs []int }
	read(t, o.stdout, &tokens)
	assert.NotEmpty(t, tokens.IDs)
	write(t, dir, "text.txt", "What is 3?\n")
	assert.Equal(t, o.stdout, done(t, dir, "tokenize", "base/tokenizer.json", "--json", "--input", "text.txt"))

	var shown struct {
		Config  map[string]any
		Origins map[string]string
	}
	read(t, done(t, dir, "config", "show", "run.yaml", "--json", "--set", "train.seed=7"), &shown)
	assert.EqualValues(t, 7, shown.Config["train"].(map[string]any)["seed"])
	assert.Equal(t, "--set train.seed", shown.Origins["train.seed"])
	assert.Equal(t, "run.yaml:1", shown.Origins["device"])
	var made struct {
		Output string
		Tokens int
	}
	read(t, done(t, dir, "tokenizer", "train", "source.txt", "--vocab-size", "280", "--out", "t.json", "--json"), &made)
	assert.Equal(t, "t.json", made.Output)
	assert.Equal(t, 280, made.Tokens)

	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"adapter ls a b", 2, `"b" is one argument too many`},
		{"adapter ls absent", 66, "absent does not exist"},
		{"config schema X", 2, `"X": graft config schema takes no arguments`},
		{"tokenizer train absent", 66, "absent does not exist"},
		{"template chatml --input absent", 66, "absent does not exist"},
		{"tokenize base --input absent", 66, "absent does not exist"},
		{"generate base --input absent", 66, "absent does not exist"},
		{"data check run.yaml --device cpu", 2, "graft data check has no flag --device"},
		{"data stats run.yaml --memory 1GiB", 2, "graft data stats has no flag --memory"},
		{"absent", 2, `"absent" is no command of graft; see graft --help`},
	} {
		o := graft(t, dir, strings.Fields(x.args)...)
		assert.Equal(t, x.code, o.code, x.args)
		assert.Regexp(t, "(?m)^graft: "+x.says, o.stderr)
		assert.NotContains(t, o.stderr, "no such file")
	}
}
