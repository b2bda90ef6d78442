package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/go/train"
)

// recipe is what the base is made of; a change of it makes a new base.
var recipe = struct {
	Config                 string
	Vocab, Steps, Sequence int
}{`{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
  "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
  "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 2048,
  "max_position_embeddings": 512, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
  "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float32"
}
`, 2048, 6000, 256}

const end = "<|endoftext|>"

// pretrain makes the base: a tokenizer, random weights, and full training on
// the declarations.
func pretrain(ctx context.Context, s *sources, base string) error {
	work, err := os.MkdirTemp("", "graft-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	began := time.Now()
	t, err := tokenizer.TrainBPE(ctx, slices.Values(s.texts), tokenizer.TrainOptions{VocabSize: recipe.Vocab, SpecialTokens: []string{end}})
	if err != nil {
		return err
	}
	fmt.Printf("tokenizer of %d tokens trained in %s\n", t.Size(), time.Since(began).Round(100*time.Millisecond))
	file := filepath.Join(work, "tokenizer.json")
	if err := t.Save(file); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	random := filepath.Join(work, "random")
	files := map[string][]byte{
		"tokenizer.json":        text,
		"tokenizer_config.json": []byte(`{"eos_token": "` + end + `", "bos_token": "` + end + "\"}\n"),
	}
	if err := export.Random(ctx, random, []byte(recipe.Config), files, "F32", 1); err != nil {
		return err
	}
	type record struct {
		Text string `json:"text"`
	}
	var records []record
	for _, piece := range pieces(s.texts, 3*recipe.Sequence) {
		records = append(records, record{piece})
	}
	data := filepath.Join(work, "source.jsonl")
	if err := writeLines(data, records); err != nil {
		return err
	}
	fmt.Printf("pretraining a base on %d pieces of them\n", len(records))
	run := fmt.Sprintf(`
model: {path: %q, dtype: bf16}
method: {type: full}
data: {train: %q, max_seq_length: %d, on_overflow: truncate}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 1, output_dir: %q}
optim: {learning_rate: 2e-3, warmup_ratio: 0.05, betas: [0.9, 0.95]}
checkpoint: {every: 0}
`, random, data, recipe.Sequence, recipe.Steps, filepath.Join(work, "run"))
	if _, err := follow(ctx, run, "pretrain", 150*time.Second); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return err
	}
	return os.CopyFS(base, os.DirFS(filepath.Join(work, "run", "model")))
}

// pieces cuts texts at line ends into pieces of about n bytes.
func pieces(texts []string, n int) (all []string) {
	for _, t := range texts {
		for len(t) > 0 {
			cut := len(t)
			if cut > n {
				if cut = strings.LastIndexByte(t[:n], '\n') + 1; cut == 0 {
					cut = n
				}
			}
			if piece := strings.ToValidUTF8(t[:cut], ""); strings.TrimSpace(piece) != "" {
				all = append(all, piece)
			}
			t = t[cut:]
		}
	}
	return all
}

// tuning is the run file of the adapter.
func tuning(device, base, data, out string) string {
	return fmt.Sprintf(`
device: %q
model: {path: %q, dtype: bf16}
method: {type: lora, r: 16, lora_alpha: 32}
data: {train: %q, val_set_size: 200, max_seq_length: %d, on_overflow: drop}
train: {num_epochs: 4, micro_batch_size: 4, gradient_accumulation_steps: 1, output_dir: %q}
optim: {learning_rate: 2e-3}
eval: {every: 0}
`, device, base, data, recipe.Sequence, out)
}

// tune trains the adapter and shows what it changed.
func tune(ctx context.Context, s *sources, base, out, device string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	tasks, held := s.tasks, 5
	data := filepath.Join(filepath.Dir(out), "demo-tasks.jsonl")
	samples := make([]task, held)
	for i := range samples { // every so often, from all over the library
		samples[i] = tasks[(2*i+1)*len(tasks)/(2*held)]
	}
	kept := slices.DeleteFunc(slices.Clone(tasks), func(t task) bool { return slices.Contains(samples, t) })
	if err := writeLines(data, kept); err != nil {
		return err
	}
	fmt.Printf("tuning an adapter on %d functions: signature -> first sentence of the documentation\n", len(kept))
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	result, err := follow(ctx, tuning(device, base, data, out), "tune", 75*time.Second)
	if err != nil {
		return err
	}
	adapter := filepath.Join(out, "adapter")
	before, err := answers(ctx, base, "", device, samples)
	if err != nil {
		return err
	}
	after, err := answers(ctx, base, adapter, device, samples)
	if err != nil {
		return err
	}
	for i, t := range samples {
		fmt.Printf("\n%s\n  written  %s\n  before   %s\n  after    %s\n", strings.TrimSuffix(t.Prompt, "\n// "), strings.TrimSpace(t.Completion), before[i], after[i])
	}
	fmt.Printf("\nheld-out loss  %.3f before, %.3f after\n", *result.EvalBefore, *result.EvalAfter)
	fmt.Printf("memory         %.1f MiB planned, %.1f MiB used\n", mib(result.Planned.Total()), mib(result.Used.Total()))
	fmt.Printf("adapter        %s\n", adapter)
	fmt.Printf("\nTry it:\n  bin/graft generate %s --adapter %s --prompt $'func (r *Reader) ReadLine() (line []byte, err error)\\n// ' --stop $'\\n'\n", base, adapter)
	return nil
}

// follow trains a run and prints its progress: all its steps, or as many as take about that long on this machine.
func follow(ctx context.Context, text, name string, budget time.Duration) (train.Result, error) {
	fits, err := steps(ctx, text, budget)
	if err != nil {
		return train.Result{}, err
	}
	run, err := prepare(ctx, text)
	if err != nil {
		return train.Result{}, err
	}
	if all := run.Loader.Steps(); fits < all {
		run.Close()
		fmt.Printf("  %d of %d steps: as many as fit into %s on this machine\n", fits, all, budget)
		if run, err = prepare(ctx, text, fmt.Sprintf("train.max_steps=%d", fits)); err != nil {
			return train.Result{}, err
		}
	}
	defer run.Close()
	fmt.Printf("  %d steps over a set of %d tokens, plan %.1f MiB\n", run.Loader.Steps(), run.Data.Tokens, mib(run.Plan.Bytes.Total()))
	last := time.Now()
	return run.Train(ctx, false, func(e train.Event) {
		if e.Step > 0 && (time.Since(last) > 5*time.Second || e.Step == e.TotalSteps) {
			last = time.Now()
			fmt.Printf("  %s  step %d/%d  loss %.3f  %.0f tokens/s  %s left\n", name, e.Step, e.TotalSteps, e.Loss, e.TokensPerSec, e.Left.Round(time.Second))
		}
	})
}

// prepare is a run from the text of its file and further settings.
func prepare(ctx context.Context, text string, sets ...string) (*graft.Run, error) {
	c, err := config.Parse("demo", []byte(text), sets)
	if err != nil {
		return nil, err
	}
	return graft.Prepare(ctx, c, graft.Options{})
}

// steps is how many steps of a run fit into a time, by the fastest of its first few.
func steps(ctx context.Context, text string, budget time.Duration) (int, error) {
	dir, err := os.MkdirTemp("", "graft-demo-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	run, err := prepare(ctx, text, "train.max_steps=5", "data.val_set_size=0", "train.output_dir="+filepath.Join(dir, "run"))
	if err != nil {
		return 0, err
	}
	defer run.Close()
	fastest := math.Inf(1)
	_, err = run.Train(ctx, false, func(e train.Event) {
		if e.Step > 0 && e.Seconds > 0 {
			fastest = min(fastest, e.Seconds)
		}
	})
	return max(1, int(budget.Seconds()/fastest)), err
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// answers completes the prompts greedily, up to the end of the line.
func answers(ctx context.Context, base, adapter, device string, tasks []task) ([]string, error) {
	var adapters []graft.Weighted
	if adapter != "" {
		adapters = append(adapters, graft.Weighted{Dir: adapter, Weight: 1})
	}
	s, err := graft.OpenSpeaker(ctx, graft.SpeakerOptions{Model: base, Adapters: adapters, DType: "bf16", MaxTokens: 256, Device: device})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []string
	for _, t := range tasks {
		ids, err := s.Encode(t.Prompt)
		if err != nil {
			return nil, err
		}
		done, err := s.Text.Generate(ctx, [][]int32{ids}, generate.Params{MaxNewTokens: 48, StopTokens: s.Base.StopTokens()}, []string{"\n"}, nil)
		if err != nil {
			return nil, err
		}
		text := strings.TrimSpace(done[0].Text)
		if text == "" {
			text = "(an empty line)"
		}
		all = append(all, text)
	}
	return all, nil
}
