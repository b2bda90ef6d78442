package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const run = `# a run
device: cpu
model: { path: ./Llama, dtype: bf16 }
method:
  type: lora
  r: 8
  target_modules: [q_proj, v_proj]
  rank_pattern: { "layers\\.0\\..*": 4 }
data:
  train:
    - train.jsonl
    - { path: more.jsonl, format: text, weight: 0.5 }
  val_set_size: 0.02
train: { num_epochs: 1, output_dir: runs/x, max_steps: 1e3 }
optim: { betas: [0.9, 0.95] }
memory: { limit: 1.5GiB }
`

func parse(t *testing.T, text string, sets ...string) *config.Config {
	c, err := config.Parse("run.yaml", []byte(text), sets)
	require.NoError(t, err)
	return c
}

func TestReadsARun(t *testing.T) {
	c := parse(t, run, "optim.betas=[0.8,0.99]", "train.seed=7", "model.path=my model")
	assert.Equal(t, "cpu", c.Device)
	assert.Equal(t, config.Model{Path: "my model", DType: "bf16", Quant: "auto", Double: true}, c.Model)
	assert.Equal(t, 8, c.Method.R)
	assert.Equal(t, config.Modules{Names: []string{"q_proj", "v_proj"}}, c.Method.Targets)
	assert.Equal(t, map[string]int{`layers\.0\..*`: 4}, c.Method.RankPattern)
	assert.Equal(t, []config.Source{{Path: "train.jsonl", Format: "auto", Weight: 1}, {Path: "more.jsonl", Format: "text", Weight: 0.5}}, c.Data.Train)
	assert.Equal(t, 1000, c.Train.MaxSteps)
	assert.Equal(t, [2]float64{0.8, 0.99}, c.Optim.Betas)
	assert.Equal(t, config.Size(3<<29), c.Memory.Limit)
	assert.Equal(t, 2e-4, c.Optim.LearningRate)
	for path, origin := range map[string]string{
		"device": "run.yaml:2", "method.r": "run.yaml:6", "data.train": "run.yaml:11", "optim.betas": "--set optim.betas",
		"optim.eps": "default", "optim.learning_rate": "default for lora", "model.path": "--set model.path",
	} {
		assert.Equal(t, origin, c.Origin(path), path)
	}
}

func TestDefaultsFollowTheMethod(t *testing.T) {
	assert.Equal(t, 2e-5, parse(t, "method: {type: full}").Optim.LearningRate)
	assert.Equal(t, 2e-4, parse(t, "").Optim.LearningRate)
	assert.Equal(t, 2e-5, parse(t, "optim: {eps: 1e-6}\nmethod: {type: full}").Optim.LearningRate, "whatever the order of the file")
	full := string(parse(t, "method: {type: full}").Resolved())
	assert.Contains(t, full, "learning_rate: 0.00002  # default\n")
	assert.NotContains(t, full, "lora_alpha")
	assert.Contains(t, string(parse(t, "").Resolved()), "learning_rate: 0.0002  # default for lora\n")
}

func TestJSONIsYAML(t *testing.T) {
	c := parse(t, `{"optim":{"learning_rate":1E-5,"betas":[0.5,0.75]},"data":{"train":"a.jsonl","eval":{"path":"b"}},"log":null}`)
	assert.Equal(t, 1e-5, c.Optim.LearningRate)
	assert.Equal(t, "a.jsonl", c.Data.Train[0].Path)
	assert.Equal(t, "b", c.Data.Eval[0].Path)
}

func TestMarksAndLineEnds(t *testing.T) {
	c := parse(t, "\xef\xbb\xbf"+strings.ReplaceAll(run, "\n", "\r\n"))
	assert.Equal(t, 8, c.Method.R)
	assert.Equal(t, "run.yaml:6", c.Origin("method.r"))
}

func TestRefusals(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 x\n")
	for i := range 30 {
		c := string(rune('a' + i%26))
		bomb.WriteString(c + "x: &" + c + "x [*a0, *a0, *a0]\n")
	}
	for text, says := range map[string]string{
		"\n\n\n\n\nmethod:\n  lora_rnak: 8\n":         `run.yaml:7: unknown key "lora_rnak" (did you mean "r"?)`,
		"train: {learning_rate: 1}":                   `run.yaml:1: unknown key "learning_rate" (did you mean "optim.learning_rate"?)`,
		"learning_rate: 1":                            `did you mean "optim.learning_rate"?`,
		"optim: {lr: 1e-4}":                           `unknown key "lr" (did you mean "learning_rate"?)`,
		"qqqqqqqqqqqq: 1":                             `unknown key "qqqqqqqqqqqq"; the file has device, threads, model`,
		"log: {zzzzzzzzzzz: 1}":                       `unknown key "log.zzzzzzzzzzz"; log has every, jsonl`,
		"data: {train: [{path: x, fromat: text}]}":    `unknown key "fromat" (did you mean "format"?)`,
		"optim:\n  eps: 1\n  name: adamw\n  eps: 2":   `run.yaml:4: key "eps" already set on line 2`,
		"device: cpu\ndevice: cpu":                    `run.yaml:2: key "device" already set on line 1`,
		"optim:\n  learning_rate: fast":               `run.yaml:2: optim.learning_rate: want a number, got "fast"`,
		"optim: {learning_rate: NaN}":                 "optim.learning_rate: must be finite and in (0, 1], got NaN",
		"optim: {learning_rate: .nan}":                "must be finite and in (0, 1], got .nan",
		"optim: {learning_rate: -.inf}":               "must be finite and in (0, 1], got -.inf",
		"optim: {learning_rate: -1}":                  "must be finite and in (0, 1], got -1",
		"optim: {learning_rate: 1e9}":                 "must be finite and in (0, 1], got 1e9",
		"optim: {learning_rate: 1e999}":               "must be finite and in (0, 1], got 1e999",
		"optim: {learning_rate: 0}":                   "must be finite and in (0, 1], got 0",
		`optim: {learning_rate: "1e-4"}`:              `want a number, got "1e-4"`,
		"optim: {betas: [0.9]}":                       "optim.betas: want a list of 2 numbers, got a list",
		"optim: {betas: [0.9, 1.0]}":                  "optim.betas: must be finite and in [0, 1), got 1.0",
		"optim: 3":                                    "optim must be an object of keys, got 3; optim has name, learning_rate",
		"method: {r: 0}":                              "method.r: must be in [1, 65536], got 0",
		"method: {r: -4}":                             "method.r: must be in [1, 65536], got -4",
		"method: {r: 1.5}":                            "method.r: want a whole number, got 1.5",
		"method: {r: 0x10}":                           "method.r: want a whole number, got 0x10",
		"method: {lora_alpha: 0}":                     "method.lora_alpha: must be finite and in (0, 1e6], got 0",
		"method: {lora_dropout: 1.0}":                 "method.lora_dropout: must be finite and in [0, 1), got 1.0",
		"method: {type: lroa}":                        `(did you mean "lora"?)`,
		`method: {type: qlroa}`:                       `(did you mean "qlora"?)`,
		"method: {type: full}\nmodel: {quant: nf4}":   "model.quant is nf4, and full fine-tuning needs weights that can change; use method.type qlora",
		"method: {type: qlora}\nmodel: {quant: none}": "model.quant is none, and qlora is lora over a base in four bits; use method.type lora",
		"method: {type: full, r: 8}":                  "method.r has no effect with method.type full; remove it",
		"method: {target_modules: 'q_proj,v_proj'}":   "write a list: [q_proj,v_proj]",
		"method: {target_modules: []}":                "selects nothing",
		"method: {type: head}\ntrain: {z_loss: 1e-4}": "train.z_loss has no effect with method.type head; remove it",
		"train: {label_smoothing: 1}":                 "train.label_smoothing: must be finite and in [0, 1), got 1",
		"method: {target_modules: {a: b}}":            "want all-linear, a list of names or a regular expression, got an object",
		"method: {rank_pattern: {a: 0}}":              "method.rank_pattern.a: must be in [1, 65536], got 0",
		"method: {layers_to_transform: [0, -1]}":      "method.layers_to_transform[1]: must be in [0, 4095], got -1",
		"train: {max_steps: 1e30}":                    "1e30 is too large",
		"train: {max_steps: 99999999999999999999}":    "is too large",
		"train: {micro_batch_size: 0}":                "train.micro_batch_size: must be in [1, 1e6], got 0",
		"train: {num_epochs: 0}":                      "nothing would be trained",
		"train: {micro_batch_size: 1000000, gradient_accumulation_steps: 1000000}": "is too large; a step holds at most",
		"model: {path: 3}":                          "model.path: want text, got 3; put it in quotes",
		"model: {path: [a]}":                        "model.path: want text, got a list",
		"model: {dtype: f16}":                       `"f16" is not one of auto, f32, bf16`,
		"device: gpu":                               `device: want auto, cpu, cuda:N, pjrt:PLUGIN or reference, got "gpu"`,
		"data: {shuffle: yes}":                      `data.shuffle: want true or false, got "yes"`,
		"data: {train: [{format: text}]}":           `data.train[0] needs "path"`,
		"data: {train: [null]}":                     "data.train[0] is empty",
		"data: {train: [{path: ''}]}":               "data.train[0].path is empty",
		"data: {val_set_size: 1.5}":                 "want a share below 1 or a whole number",
		"data: {val_set_size: 0.1, eval: a}":        "data.val_set_size and data.eval are both given",
		"optim: {warmup_ratio: 1, warmup_steps: 5}": "optim.warmup_steps and optim.warmup_ratio are both given",
		"memory: {limit: lots}":                     `memory.limit: want auto or a size such as 24GiB, got "lots"`,
		"memory: {limit: 0}":                        "want auto or a size",
		"memory: {limit: 99999999999TiB}":           "want auto or a size",
		"checkpoint: {keep: 1}":                     "checkpoint.keep: must be in [2, 1e6], got 1",
		"[1, 2]":                                    "the file must be an object of keys, got a list",
		"just text":                                 `the file must be an object of keys, got "just text"`,
		"a: [1":                                     "run.yaml:1: sequence end token ']' not found",
		"device: cpu\n---\ndevice: cpu":             "run.yaml:3: a second document begins",
		"device: !!str cpu":                         "tags are not read",
		"device: &x cpu":                            "anchors and aliases are not read",
		"<<: {device: cpu}":                         "a key must be plain text",
		"[a, b]: c":                                 "invalid key",
		bomb.String():                               "anchors and aliases are not read",
		strings.Repeat("[", 60000):                  "nesting over 64",
		strings.Repeat("{a: ", 15000):               "nesting over 64",
		strings.Repeat("- ", 30000):                 "nesting over 64",
		strings.Repeat("? ", 30000):                 "nesting over 64",
		staircase(300):                              "run.yaml:65: nesting over 64",
		"# " + strings.Repeat("x", 64<<10):          "larger than 65536 bytes",
		"device: c\x00pu":                           "byte 9 is 0x00",
		"device: cpu\n# \xff":                       "byte 14 is 0xff",
	} {
		name := text
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse("run.yaml", []byte(text), nil)
			require.ErrorIs(t, err, failure.ErrConfig)
			assert.ErrorContains(t, err, says)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

// staircase nests n mappings by indentation.
func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestSetRefusals(t *testing.T) {
	for set, says := range map[string]string{
		"optim.learning_rate":      "want key=value",
		"=1":                       "want key=value",
		"optim.learnig_rate=1":     `unknown key "learnig_rate" (did you mean "learning_rate"?)`,
		"lr=1":                     `did you mean "optim.learning_rate"?`,
		"optim=1":                  "optim is a section; optim has name",
		"data.train.path=x":        "unknown key",
		"optim.learning_rate=fast": `--set optim.learning_rate: optim.learning_rate: want a number, got "fast"`,
		"optim.betas=[1":           "--set optim.betas: ",
		"method.r=":                "",
	} {
		_, err := config.Parse("run.yaml", nil, []string{set})
		if says == "" {
			assert.NoError(t, err, "nothing is the default")
			continue
		}
		require.ErrorIs(t, err, failure.ErrConfig, set)
		assert.ErrorContains(t, err, says)
	}
	_, err := config.Parse("run.yaml", []byte("optim: 3"), []string{"optim.eps=1e-6"})
	assert.ErrorContains(t, err, "run.yaml:1: optim must be an object")
	assert.Equal(t, 2, parse(t, "", "train.seed=1", "train.seed=2").Train.Seed, "the last wins")
	assert.Equal(t, "a: b, [c", parse(t, "", "model.path=a: b, [c").Model.Path, "text is taken as it stands")
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	require.NoError(t, os.WriteFile(path, []byte(run), 0o644))
	c, err := config.Load(path, nil)
	require.NoError(t, err)
	assert.Equal(t, path+":6", c.Origin("method.r"))
	_, err = config.Load(path+"x", nil)
	assert.ErrorIs(t, err, failure.ErrNoInput)
	_, err = config.Load(t.TempDir(), nil)
	assert.ErrorIs(t, err, failure.ErrConfig)
}

func TestRequire(t *testing.T) {
	assert.NoError(t, parse(t, run).Require("model.path", "data.train", "train.output_dir"))
	err := parse(t, "data: {train: []}").Require("data.train")
	require.ErrorIs(t, err, failure.ErrConfig)
	assert.ErrorContains(t, err, "data.train is not set; add it to the run file or pass --set data.train=...")
	assert.Error(t, parse(t, "").Require("model.path"))
}

func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	model, file, full := filepath.Join(dir, "model"), filepath.Join(dir, "file"), filepath.Join(dir, "full")
	require.NoError(t, os.MkdirAll(filepath.Join(full, "checkpoints"), 0o755))
	require.NoError(t, os.Mkdir(model, 0o755))
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Symlink(model, filepath.Join(dir, "link")))
	check := func(out string, resume bool) error {
		return parse(t, "", "model.path="+model, "train.output_dir="+out).CheckOutput(resume)
	}
	assert.NoError(t, check(filepath.Join(dir, "new/deep"), false))
	assert.NoError(t, check(full, true))
	assert.ErrorContains(t, check(full, false), "is not empty; go on with that run by --resume auto, or choose another directory")
	assert.ErrorContains(t, check(file, false), "is a file")
	assert.ErrorContains(t, check(filepath.Join(model, "out"), false), "lies in the model directory")
	assert.ErrorContains(t, check(filepath.Join(dir, "link/out"), true), "lies in the model directory")
	assert.ErrorIs(t, check(full, false), failure.ErrConfig)
}

// TestQLoRAIsLoRA: it has the keys and defaults of LoRA, and a base in four
// bits, wherever method.type is written.
func TestQLoRAIsLoRA(t *testing.T) {
	for _, text := range []string{"method: {type: qlora, r: 8}", "model: {path: m}\nmethod: {r: 8, type: qlora}"} {
		c := parse(t, text)
		assert.Equal(t, "nf4", c.Model.Quant)
		assert.Equal(t, "default for qlora", c.Origin("model.quant"))
		assert.Equal(t, 8, c.Method.R)
		assert.Equal(t, 2e-4, c.Optim.LearningRate)
		assert.Equal(t, "default for qlora", c.Origin("optim.learning_rate"))
		again := parse(t, string(c.Resolved()))
		assert.Equal(t, c.Method, again.Method)
		assert.Equal(t, c.Model, again.Model)
	}
	assert.Equal(t, "auto", parse(t, "method: {type: lora}").Model.Quant)
	assert.Equal(t, "auto", parse(t, "method: {type: qlora}", "method.type=lora").Model.Quant)
}

// TestSettings are the keys of a method with their values, as the file spells
// them.
func TestSettings(t *testing.T) {
	s := parse(t, "method: {type: prompt}", "train.seed=7", "optim.betas=[0.8,0.99]").Settings()
	assert.Equal(t, "7", s["train.seed"])
	assert.Equal(t, "[0.8,0.99]", s["optim.betas"])
	assert.Equal(t, "20", s["method.num_virtual_tokens"])
	assert.NotContains(t, s, "method.r")
}
