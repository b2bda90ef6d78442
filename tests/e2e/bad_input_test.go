package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/export"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBadInput breaks one thing at a time after a good run: one sentence that
// names it, the documented exit code, and the good run's results as they were.
func TestBadInput(t *testing.T) {
	dir := workplace(t)
	done(t, dir, "train", "run.yaml", "--set", "train.output_dir=good")
	before := fingerprint(t, dir, "good")
	other := strings.Replace(llama, `"hidden_size": 32`, `"hidden_size": 48`, 1)
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "other"), []byte(other), map[string][]byte{"tokenizer.json": contents(t, dir, "tokenizer.json")}, "F32", 2))

	for _, c := range []struct {
		name   string
		breaks func(t *testing.T, dir string)
		args   []string
		code   int
		says   string
	}{
		{"unknown key", set("run.yaml", runFile+"lora_rank: 4\n"), train(), 78, `run.yaml:9.*lora_rank`},
		{"wrong type", nil, train("method.r=four"), 78, `method.r.*four`},
		{"no data", set("train.jsonl", ""), train(), 65, `train.jsonl.*no examples`},
		{"missing data", nil, train("data.train=absent.jsonl"), 66, `absent.jsonl does not exist`},
		{"broken record", set("train.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\""), train(), 65, `train.jsonl:2`},
		{"masked record", set("train.jsonl", "{\"input_ids\": [1, 2, 3], \"labels\": [-100, -100, -100]}\n"), train("data.val_set_size=0"), 65, `train.jsonl:1.*trained`},
		{"template that marks nothing", func(t *testing.T, dir string) {
			set("train.jsonl", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`+"\n")(t, dir)
			set("t.jinja", `{% for m in messages | reverse %}{{ m.content }}{% endfor %}`)(t, dir)
		}, train("data.template=t.jinja", "data.val_set_size=0"), 65, `template`},
		{"truncated weights", weights(func(b []byte) []byte { return b[:len(b)/2] }), train(), 65, `model.safetensors`},
		{"weights cut within their header", weights(func(b []byte) []byte { return b[:12] }), train(), 65, `model.safetensors`},
		{"hostile header", weights(func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b, math.MaxUint64/2)
			return b
		}), train(), 65, `model.safetensors.*header`},
		{"missing shard", func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "base/model.safetensors"), filepath.Join(dir, "base/model-00001-of-00002.safetensors")))
			set("base/model.safetensors.index.json", `{"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}`)(t, dir)
		}, train(), 66, `model-00002-of-00002.safetensors`},
		{"NaN in the base", weights(func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[len(b)-4:], math.Float32bits(float32(math.NaN())))
			return b
		}), train(), 65, `NaN`},
		{"output in use by a finished run", nil, train("train.output_dir=good"), 78, `train.output_dir.*good`},
		{"unwritable directory", nil, train("train.output_dir=/proc/out"), 74, `/proc/out`},
		{"adapter for another base", nil, []string{"generate", "other", "--adapter", "good/adapter", "--prompt", "a"}, 65, `good/adapter|adapter_model.safetensors`},
		{"adapters for different bases", func(t *testing.T, dir string) {
			require.NoError(t, os.CopyFS(filepath.Join(dir, "moved"), os.DirFS(filepath.Join(dir, "good/adapter"))))
			config := string(contents(t, dir, "moved/adapter_config.json"))
			set("moved/adapter_config.json", strings.Replace(config, `"base_model_name_or_path": "base"`, `"base_model_name_or_path": "models/another"`, 1))(t, dir)
		}, []string{"generate", "base", "--adapter", "good/adapter", "--adapter", "moved", "--prompt", "a"}, 65, `good/adapter is for the base base and moved for models/another; adapters of different bases do not add up`},
		{"adapter whose shapes do not fit", func(t *testing.T, dir string) {
			require.NoError(t, os.CopyFS(filepath.Join(dir, "moved"), os.DirFS(filepath.Join(dir, "good/adapter"))))
			config := string(contents(t, dir, "moved/adapter_config.json"))
			set("moved/adapter_config.json", strings.Replace(config, `"r": 4`, `"r": 3`, 1))(t, dir)
		}, []string{"generate", "base", "--adapter", "moved", "--prompt", "a"}, 65, `moved.*lora_[AB].weight.*\[4 32\].*\[3 32\]`},
		{"prompt longer than the context", nil, []string{"generate", "base", "--prompt", strings.Repeat("What is 3 and 4? ", 40)}, 65, `prompt 1 has \d+ tokens, which leaves no room for an answer in a context of 128`},
		{"soft prompt longer than the context", set("run.yaml", strings.Replace(strings.Replace(runFile, "{type: lora, r: 4, lora_alpha: 8}", "{type: prompt, num_virtual_tokens: 64}", 1), "96", "80", 1)), train(), 78, `64 virtual tokens and data.max_seq_length 80 are beyond max_position_embeddings 128 of base`},
		{"label never seen in training", func(t *testing.T, dir string) {
			set("run.yaml", "device: "+processor+"\nmodel: {path: base}\nmethod: {type: head}\ndata: {train: seen.jsonl, eval: unseen.jsonl}\ntrain: {output_dir: out}\n")(t, dir)
			set("seen.jsonl", `{"text": "a", "label": "x"}`+"\n"+`{"text": "b", "label": "y"}`+"\n")(t, dir)
			set("unseen.jsonl", `{"text": "a", "label": "x"}`+"\n"+`{"text": "b", "label": "z"}`+"\n")(t, dir)
		}, train(), 65, `unseen.jsonl:2.*"z"`},
		{"base quantised by another scheme", quantised(`{"quant_method": "gptq", "bits": 4, "group_size": 128}`), train(), 65, `config.json.*gptq`},
		{"base of another four-bit type", quantised(`{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "fp4"}`), train(), 65, `config.json.*fp4`},
		{"base of eight bits", quantised(`{"quant_method": "bitsandbytes", "load_in_8bit": true}`), train(), 65, `config.json.*8`},
		{"adapter for another base to go on from", nil, train("model.path=other", "method.init_from=good/adapter"), 65, `good/adapter|adapter_model.safetensors`},
		{"merge onto another base", nil, []string{"merge", "--model", "other", "--adapter", "good/adapter", "--out", "merged"}, 65, `good/adapter|adapter_model.safetensors`},
		{"merge over something", nil, []string{"merge", "--model", "base", "--adapter", "good/adapter", "--out", "good"}, 74, `good already exists`},
		{"no such command", nil, []string{"trian"}, 2, `trian`},
		{"no such command of another", nil, []string{"data", "shwo"}, 2, `"shwo" is no command of graft data`},
		{"no such flag", nil, []string{"train", "run.yaml", "--memry", "1GiB"}, 2, `graft train has no flag --memry; did you mean --memory`},
		{"no such flag of a command within", nil, []string{"data", "show", "run.yaml", "--masc"}, 2, `--masc; did you mean --mask`},
		{"no number", nil, []string{"data", "show", "run.yaml", "-n", "two"}, 2, `"two".*graft data show --help`},
		{"no GPU", nil, []string{"train", "run.yaml", "--device", "cuda:0"}, 69, `libgraft_cuda|GPU|driver`},
		{"too little memory", nil, []string{"train", "run.yaml", "--memory", "1MiB"}, 82, `memory.limit`},
	} {
		t.Run(c.name, func(t *testing.T) {
			work := t.TempDir()
			require.NoError(t, os.CopyFS(work, os.DirFS(dir)))
			if c.breaks != nil {
				c.breaks(t, work)
			}
			o := graft(t, work, c.args...)
			assert.Equal(t, c.code, o.code, o.stderr)
			last := o.stderr[strings.LastIndex(strings.TrimSpace(o.stderr), "\n")+1:]
			assert.Regexp(t, "^graft: .*("+c.says+")", last)
			assert.Equal(t, 1, strings.Count(o.stderr, "graft: "), o.stderr)
			assert.Equal(t, before, fingerprint(t, work, "good"), "the earlier run")
			assert.NoDirExists(t, filepath.Join(work, "merged"))
		})
	}
}

// TestFullDisk trains onto a file system of a few hundred kilobytes: it ends
// with a sentence, and the newest checkpoint is whole, for with more room the
// same command goes on.
func TestFullDisk(t *testing.T) {
	dir := workplace(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "disk"), 0o755))
	script := `mount -t tmpfs -o size=$1k none disk && shift && "$@"; code=$?; cp -r disk/out kept 2>/dev/null; exit $code`
	small := func(kilobytes int) output {
		c := exec.Command("unshare", "-rm", "sh", "-c", script, "sh", fmt.Sprint(kilobytes), program, "train", "run.yaml",
			"--set", "train.output_dir=disk/out", "--set", "train.max_steps=20")
		c.Dir = dir
		return finish(t, c)
	}
	if o := small(64 << 10); strings.Contains(o.stderr, "unshare") || strings.Contains(o.stderr, "mount") {
		t.Skipf("this machine gives no file system of its own to a test: %s", o.stderr)
	} else {
		require.Zero(t, o.code, o.stderr)
	}
	full := false
	for kilobytes := 4; kilobytes <= 1024; kilobytes *= 2 {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "kept")))
		o := small(kilobytes)
		if o.code == 0 {
			break
		}
		full = true
		assert.Equal(t, 74, o.code, "%d KiB: %s", kilobytes, o.stderr)
		assert.Contains(t, o.stderr, "no space left on device")
		assert.Equal(t, 1, strings.Count(o.stderr, "graft: "), o.stderr)
		if _, err := os.Stat(filepath.Join(dir, "kept")); err == nil {
			done(t, dir, "train", "run.yaml", "--set", "train.output_dir=kept", "--set", "train.max_steps=20", "--resume", "auto")
		}
	}
	assert.True(t, full, "no disk was small enough")
}

func train(settings ...string) []string {
	args := []string{"train", "run.yaml"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	return args
}

func set(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, dir, name, text) }
}

// quantised says in the base's config.json that it is.
func quantised(how string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		write(t, dir, "base/config.json", strings.Replace(llama, "{", `{"quantization_config": `+how+",", 1))
	}
}

// weights changes the bytes of the base's weights.
func weights(change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		b := contents(t, dir, "base/model.safetensors")
		write(t, dir, "base/model.safetensors", string(change(bytes.Clone(b))))
	}
}

// fingerprint is every file below a directory.
func fingerprint(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, name), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".lock" {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		all[relative] = string(contents(t, path))
		return err
	}))
	return all
}
