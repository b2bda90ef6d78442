package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trained trains adapters a, b and a DoRA adapter d of the workplace, each on
// its own records.
func trained(t *testing.T, dir string) {
	t.Helper()
	all := strings.SplitAfter(string(contents(t, dir, "train.jsonl")), "\n")
	for i, name := range []string{"a", "b", "d"} {
		write(t, dir, name+".jsonl", strings.ReplaceAll(strings.Join(all[8*i:8*i+8], ""), "It is", []string{"It is", "They make", "A sum:"}[i]))
		done(t, dir, "train", "run.yaml", "--set", "data.train="+name+".jsonl", "--set", "data.val_set_size=0", "--set", "train.output_dir=runs/"+name,
			"--set", "train.max_steps=12", "--set", "optim.learning_rate=2e-2", "--set", fmt.Sprintf("method.r=%d", 2+2*i), "--set", fmt.Sprintf("method.use_dora=%t", name == "d"))
	}
}

// TestEvaluateAdapterByRow: the loss over records that choose adapters, several
// of them in one micro-batch, is the mean of what each record has by itself, to
// a few roundings of a float32 sum.
func TestEvaluateAdapterByRow(t *testing.T) {
	dir := workplace(t)
	trained(t, dir)
	type evaluation struct{ Loss, Accuracy float64 }
	evaluate := func(file string, adapters ...string) (e evaluation) {
		args := []string{"eval", "run.yaml", "--json", "--set", "data.val_set_size=0", "--set", "data.eval=" + file, "--set", "train.micro_batch_size=5", "--set", "model.dtype=f32"}
		for _, a := range adapters {
			args = append(args, "--adapter", a)
		}
		read(t, done(t, dir, args...), &e)
		return e
	}
	// Every record has the same number of trained tokens, so that the mean of
	// losses is the loss.
	record := func(adapter string) string {
		choice := ""
		if adapter != "" {
			choice = fmt.Sprintf(`, "adapter": %q`, adapter)
		}
		return fmt.Sprintf(`{"prompt": "What is 3 and 4?", "completion": " It is 7."%s}`+"\n", choice)
	}
	const a, b, d = "runs/a/adapter", "runs/b/adapter", "runs/d/adapter"
	alone := []struct {
		choice   string
		adapters []string
	}{
		{a, []string{a}}, {b, []string{b}}, {d, []string{d}}, {"none", nil},
		{a + ":0.5," + b + ":0.25", []string{a + ":0.5", b + ":0.25"}}, {b + ":-0.5", []string{b + ":-0.5"}},
		{"", []string{a + ":0.5", b}},
	}
	write(t, dir, "plain.jsonl", record(""))
	mixed, sum := "", 0.0
	losses := map[string]bool{}
	for _, x := range alone {
		e := evaluate("plain.jsonl", x.adapters...)
		sum += e.Loss
		losses[fmt.Sprintf("%.6f", e.Loss)] = true
		mixed += record(x.choice)
	}
	assert.Len(t, losses, len(alone), "each choice has a loss of its own")
	write(t, dir, "mixed.jsonl", mixed)
	got := evaluate("mixed.jsonl", a+":0.5", b, d+":0")
	assert.InEpsilon(t, sum/float64(len(alone)), got.Loss, 1e-6)

	write(t, dir, "absent.jsonl", record(a)+record("runs/c/adapter"))
	o := graft(t, dir, "eval", "run.yaml", "--set", "data.val_set_size=0", "--set", "data.eval=absent.jsonl", "--adapter", a, "--adapter", b)
	assert.Equal(t, 65, o.code)
	assert.Contains(t, o.stderr, "absent.jsonl:2")
	o = graft(t, dir, "eval", "run.yaml", "--set", "data.val_set_size=0", "--set", "data.eval=absent.jsonl", "--adapter", a)
	assert.Equal(t, 2, o.code)
	assert.Contains(t, o.stderr, "absent.jsonl:1")
}

// TestGenerateAdapterByRow: lines answered at once, each with its own adapters,
// are answered as each alone with only these.
func TestGenerateAdapterByRow(t *testing.T) {
	dir := workplace(t)
	trained(t, dir)
	const a, b, d = "runs/a/adapter", "runs/b/adapter", "runs/d/adapter"
	common := []string{"--dtype", "f32", "--max-new-tokens", "12", "--json"}
	lines, want := "", ""
	for i, choice := range []string{a, b, d, "none", a + ":0.5," + b + ":0.25", b, a} {
		prompt := fmt.Sprintf("What is %d and 4?", i)
		lines += fmt.Sprintf(`{"prompt": %q, "adapter": %q}`+"\n", prompt, choice)
		args := append([]string{"generate", "base", "--prompt", prompt}, common...)
		for _, one := range strings.Split(choice, ",") {
			if one != "none" {
				args = append(args, "--adapter", one)
			}
		}
		want += strings.Replace(done(t, dir, args...), "{", fmt.Sprintf(`{"adapter":%q,`, choice), 1)
	}
	write(t, dir, "prompts.jsonl", lines)
	args := append([]string{"generate", "base", "--adapter", a, "--adapter", b, "--adapter", d + ":0", "--input", "prompts.jsonl"}, common...)
	for _, batch := range []string{"1", "3", "8"} {
		assert.Equal(t, want, done(t, dir, append(args, "--batch", batch)...), "%s at once", batch)
	}
}

// TestChatLoadsAdapters: adapters come, are weighed and go while a conversation
// is open; what is answered is what a conversation begun with them answers.
func TestChatLoadsAdapters(t *testing.T) {
	dir := workplace(t)
	trained(t, dir)
	write(t, dir, "prompt.yaml", strings.Replace(runFile, "{type: lora, r: 4, lora_alpha: 8}", "{type: prompt, num_virtual_tokens: 6}", 1))
	done(t, dir, "train", "prompt.yaml", "--set", "train.output_dir=runs/p", "--set", "optim.learning_rate=0.3", "--set", "data.max_seq_length=64")
	const a, b, p = "runs/a/adapter", "runs/b/adapter", "runs/p/adapter"
	talk := func(adapters []string, lines ...string) output {
		args := []string{"chat", "base", "--template", "chatml", "--dtype", "f32", "--max-new-tokens", "8", "--max-tokens", "120"}
		for _, x := range adapters {
			args = append(args, "--adapter", x)
		}
		c := command(t.Context(), dir, args...)
		c.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		o := finish(t, c)
		require.Zero(t, o.code, o.stderr)
		return o
	}
	say := func(adapters ...string) string { return talk(adapters, "What is 3 and 4?").stdout }
	base, withA, both, prompted := say(), say(a), say(a+":0.5", b+":2"), say(p)
	for i, x := range []string{withA, both, prompted} {
		require.NotEqual(t, base, x, "adapter %d changes the answer", i)
	}
	q := []string{"/clear", "What is 3 and 4?"}
	o := talk(nil, "What is 3 and 4?",
		"/adapter "+a, q[0], q[1],
		"/adapter none", q[0], q[1],
		"/adapter a/adapter:0.5,"+b+":2", q[0], q[1],
		"/adapter "+p, q[0], q[1],
		"/adapter absent", q[0], q[1],
		"/adapter "+a+","+p, q[0], q[1],
		"/adapter none", q[0], q[1],
		"/adapter "+a, q[0], q[1])
	assert.Equal(t, base+withA+base+both+prompted+prompted+prompted+base+withA, o.stdout)
	assert.Contains(t, o.stderr, `adapter "absent" is not loaded`)
	assert.Contains(t, o.stderr, "only LoRA adapters can be loaded together")

	// One that does not fit is refused before the one that is there goes.
	require.NoError(t, os.CopyFS(filepath.Join(dir, "broken"), os.DirFS(filepath.Join(dir, a))))
	write(t, dir, "broken/adapter_model.safetensors", "")
	o = talk([]string{a}, "/adapter broken", "What is 3 and 4?")
	assert.Equal(t, withA, o.stdout)
	assert.Contains(t, o.stderr, "broken/adapter_model.safetensors")
}
