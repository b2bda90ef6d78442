package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/export"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	block   = regexp.MustCompile("(?ms)^```(\\w*)\\n(.*?)^```$")
	indents = regexp.MustCompile(`(?m)^    (graft .*)$`)
	named   = regexp.MustCompile(`^# (\S+\.yaml)\n`)
)

// TestPages runs what the pages of the methods and of adapters show: their run
// files under the names that they have, and every command, in the order of the
// page. The bases are small and random. What a merge into four bits keeps is its
// own to say: code 83.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/methods/*.md")
	require.NoError(t, err)
	require.Len(t, pages, 6)
	for _, page := range append(pages, "../../docs/adapters.md") {
		t.Run(filepath.Base(page), func(t *testing.T) {
			dir := workplace(t)
			furnish(t, dir)
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			commands := 0
			run := func(line string) {
				line = strings.TrimPrefix(line, "$ ")
				if !strings.HasPrefix(line, "graft ") {
					return // what it prints
				}
				commands++
				c := exec.CommandContext(t.Context(), "sh", "-c", line)
				c.Dir, c.Stdin = dir, strings.NewReader("What is 3 and 4?\n")
				c.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
				o := finish(t, c)
				if o.code == 83 && strings.Contains(line, "--quant nf4") {
					return
				}
				assert.Zero(t, o.code, "%s: %s", line, o.stderr)
			}
			for _, b := range block.FindAllStringSubmatch(string(text), -1) {
				if b[1] == "yaml" {
					name := "run.yaml"
					if m := named.FindStringSubmatch(b[2]); m != nil {
						name = m[1]
					}
					write(t, dir, name, b[2])
					continue
				}
				for _, line := range strings.Split(b[2], "\n") {
					run(line)
				}
			}
			for _, m := range indents.FindAllStringSubmatch(string(text), -1) {
				run(m[1])
			}
			assert.Positive(t, commands)
		})
	}
}

// furnish puts there what the pages speak of: bases by their names, records with
// labels, and the adapters of two runs.
func furnish(t *testing.T, dir string) {
	t.Helper()
	files := map[string][]byte{
		"tokenizer.json":        contents(t, dir, "tokenizer.json"),
		"tokenizer_config.json": []byte(`{"eos_token": "<|end|>", "bos_token": "<|end|>"}`),
	}
	wide := strings.NewReplacer(`"hidden_size": 32`, `"hidden_size": 64`, `"intermediate_size": 64`, `"intermediate_size": 128`).Replace(llama)
	bert := `{"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 4, "vocab_size": 320, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12}`
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "base")))
	for name, config := range map[string]string{"base": wide, "out-full/model": wide, "MODEL": wide, "all-MiniLM-L6-v2": bert} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, export.Random(t.Context(), filepath.Join(dir, name), []byte(config), files, "F32", 1))
	}
	trained(t, dir)
	write(t, dir, "run.yaml", strings.Replace(runFile, ", val_set_size: 4", "", 1))
	write(t, dir, "prompts.jsonl", `{"prompt": "What is 3 and 4?", "adapter": "runs/b/adapter"}`+"\n"+`{"prompt": "What is 4 and 5?"}`+"\n")
	write(t, dir, "chosen.jsonl", `{"prompt": "What is 3 and 4?", "completion": " 7", "adapter": "a/adapter:0.5"}`+"\n")
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "runs", name, "adapter"))))
	}
	var labelled strings.Builder
	for i := range 8 {
		fmt.Fprintf(&labelled, `{"text": "What is %d?", "label": %q}`+"\n", i, []string{"even", "odd"}[i%2])
	}
	write(t, dir, "test.jsonl", labelled.String())
	if strings.HasSuffix(t.Name(), "head.md") {
		write(t, dir, "train.jsonl", labelled.String())
	}
}
