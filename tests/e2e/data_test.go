package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const chats = `{"messages": [{"role": "user", "content": "What is 3?"}, {"role": "assistant", "content": "It is 3."}]}
{"conversations": [{"from": "human", "value": "What is 4?"}, {"from": "gpt", "value": "It is 4."}]}
{"messages": [{"role": "robot", "content": "x"}, {"role": "assistant", "content": "y"}]}
`

// TestDataCommands walks what looks at data and prepares it. None of it needs
// the weights.
func TestDataCommands(t *testing.T) {
	dir := workplace(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "base/model.safetensors")))
	write(t, dir, "chats.jsonl", chats)
	settings := []string{"--set", "data.train=chats.jsonl", "--set", "data.val_set_size=0", "--set", "data.template=t.jinja", "--set", "data.on_error=skip"}
	with := func(args ...string) []string { return append(args, settings...) }
	write(t, dir, "t.jinja", "{% for m in messages %}{{ m.role[0] ~ ':' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content ~ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}")

	var check struct {
		Report struct {
			Records    int
			Skipped    int
			Roles      map[string]int `json:"unknown_roles"`
			EndTrained int            `json:"eos_trained"`
		}
		Refused []string
	}
	read(t, done(t, dir, with("data", "check", "run.yaml", "--json")...), &check)
	assert.Equal(t, 3, check.Report.Records)
	assert.Equal(t, 1, check.Report.Skipped)
	assert.Equal(t, map[string]int{"robot": 1}, check.Report.Roles)
	assert.Equal(t, 2, check.Report.EndTrained)
	assert.Empty(t, check.Refused)
	stopped := graft(t, dir, append(with("data", "check", "run.yaml"), "--set", "data.on_error=stop")...)
	assert.Equal(t, 65, stopped.code)
	assert.Contains(t, stopped.stdout, `chats.jsonl:3: messages[0].role is "robot"`)

	shown := done(t, dir, with("data", "show", "run.yaml", "--mask")...)
	assert.Contains(t, shown, "u:What is 3?a:⟦It is 3.<|end|>⟧")
	done(t, dir, with("data", "show", "run.yaml", "--html", "mask.html")...)
	assert.Contains(t, string(contents(t, dir, "mask.html")), "<mark>It is 4.&lt;|end|&gt;</mark>")

	// The second time the rows are there already.
	packed := graft(t, dir, with("data", "pack", "run.yaml", "--out", "rows.jsonl")...)
	assert.Contains(t, packed.stdout, "2 rows in 1 sequences")
	assert.Contains(t, packed.stderr, "tokenised rows: read ")
	assert.Equal(t, 2, strings.Count(string(contents(t, dir, "rows.jsonl")), `"input_ids"`))
	assert.Contains(t, done(t, dir, "data", "stats", "run.yaml", "--set", "data.train=rows.jsonl", "--set", "data.val_set_size=0"), "rows           2\n")

	grouped := append(with("data", "pack", "run.yaml", "--set", "data.group_by_length=true"), "--set", "data.packing=false")
	assert.Contains(t, done(t, dir, grouped...), "2 rows, each a sequence")
	both := graft(t, dir, append(grouped, "--set", "data.packing=true")...)
	assert.Equal(t, 78, both.code)
	assert.Contains(t, both.stderr, "set packing: false")

	done(t, dir, "data", "convert", "chats.jsonl", "--to", "messages", "--skip-bad", "--out", "messages.jsonl.gz")
	done(t, dir, "data", "split", "messages.jsonl.gz", "--val-size", "1")
	parts := string(contents(t, dir, "train.jsonl")) + string(contents(t, dir, "val.jsonl"))
	assert.Equal(t, 2, strings.Count(parts, `"messages"`))
	bad := graft(t, dir, "data", "convert", "chats.jsonl", "--out", "never.jsonl")
	assert.Equal(t, 65, bad.code)
	assert.Contains(t, bad.stderr, "chats.jsonl:3")
	assert.NoFileExists(t, filepath.Join(dir, "never.jsonl"))
}

// TestPreflightRefusesAMaskedEnd: the end token stands after each answer and is
// never trained.
func TestPreflightRefusesAMaskedEnd(t *testing.T) {
	dir := workplace(t)
	write(t, dir, "chats.jsonl", strings.Join(strings.Split(chats, "\n")[:2], "\n"))
	write(t, dir, "t.jinja", "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{{ eos_token }}{% endfor %}")
	args := []string{"train", "run.yaml", "--set", "data.train=chats.jsonl", "--set", "data.val_set_size=0", "--set", "data.template=t.jinja"}
	refused := graft(t, dir, args...)
	assert.Equal(t, 65, refused.code)
	assert.Contains(t, refused.stderr, "the token that ends an answer is in 2 rows and trained in none")
	assert.NoDirExists(t, filepath.Join(dir, "out"))
	done(t, dir, append(args, "--set", "data.preflight=warn")...)
}

// TestTemplate renders lines of conversations.
func TestTemplate(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "in.jsonl", `{"messages": [{"role": "user", "content": "Ü"}, {"role": "assistant", "content": "A"}], "tools": null}
{"messages": 3}
{"messages": [{"role": "user", "content": "Q"}], "add_generation_prompt": true, "kwargs": {"enable_thinking": false}}
`)
	lines := strings.Split(done(t, dir, "template", "qwen3", "--json", "--input", "in.jsonl"), "\n")
	require.Len(t, lines, 4)
	assert.Equal(t, `{"text":"<|im_start|>user\nÜ<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nA<|im_end|>\n","spans":[[51,82]]}`, lines[0])
	assert.Equal(t, `{"error":"\"messages\" must be a list of messages"}`, lines[1])
	assert.Equal(t, `{"text":"<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n","spans":[]}`, lines[2])

	write(t, dir, "late.jinja", "{% for m in messages %}<|im_start|>{{ m.content }}{% if loop.last %}<|im_end|>{% endif %}{% endfor %}")
	var out struct{ Text, Error string }
	read(t, strings.SplitN(done(t, dir, "template", "late.jinja", "--json", "--input", "in.jsonl"), "\n", 2)[0], &out)
	assert.Equal(t, "<|im_start|>Ü<|im_start|>A<|im_end|>", out.Text)
	assert.Contains(t, out.Error, "use the built-in template chatml")

	plain := graft(t, dir, "template", "qwen3", "--input", "in.jsonl")
	assert.Equal(t, 65, plain.code)
	assert.Contains(t, plain.stdout, "⟦<think>")
	assert.Contains(t, plain.stderr, "in.jsonl:2")
	assert.Equal(t, 66, graft(t, dir, "template", "nothing").code)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "model"), 0o755))
	write(t, dir, "model/tokenizer_config.json", `{"eos_token": "</s>", "chat_template": "{% for m in messages %}{{ m.content ~ eos_token }}{% endfor %}"}`)
	write(t, dir, "in.jsonl", `{"messages": [{"role": "user", "content": "Q"}]}`)
	assert.Equal(t, "{\"text\":\"Q</s>\",\"spans\":[]}\n", done(t, dir, "template", "model", "--json", "--input", "in.jsonl"))
}
