package graft_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/train"
)

// tiny makes a random base of two layers and some tokenised records in a new
// folder, and gives a run file for them.
func tiny() (dir, run string) {
	dir, err := os.MkdirTemp("", "graft-example-")
	if err != nil {
		panic(err)
	}
	llama := `{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
		"num_attention_heads": 2, "vocab_size": 32, "max_position_embeddings": 32, "tie_word_embeddings": true}`
	if err := export.Random(context.Background(), filepath.Join(dir, "base"), []byte(llama), nil, "F32", 1); err != nil {
		panic(err)
	}
	records := strings.Repeat(`{"input_ids": [1, 2, 3, 4, 5]}`+"\n", 8)
	if err := os.WriteFile(filepath.Join(dir, "train.jsonl"), []byte(records), 0o644); err != nil {
		panic(err)
	}
	return dir, fmt.Sprintf(`
device: auto
model: {path: %q}
method: {type: lora, r: 2, lora_alpha: 4}
data: {train: %q, max_seq_length: 16}
train: {max_steps: 3, micro_batch_size: 2, gradient_accumulation_steps: 1, output_dir: %q}
optim: {learning_rate: 1e-2}
`, filepath.Join(dir, "base"), filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "run"))
}

func ExampleOpenBase() {
	dir, _ := tiny()
	defer os.RemoveAll(dir)
	base, err := graft.OpenBase(filepath.Join(dir, "base"), "auto")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer base.Close()
	fmt.Println(base.Config.Family, base.Config.Layers, "layers, a tokenizer:", base.Tokenizer != nil)
	// Output: llama 2 layers, a tokenizer: false
}

// Everything that can be known is known before anything is allocated.
func ExamplePrepare() {
	dir, text := tiny()
	defer os.RemoveAll(dir)
	c, err := config.Parse("run.yaml", []byte(text), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := graft.Prepare(context.Background(), c, graft.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	fmt.Println(run.Data.Records, "records,", run.Data.Targets, "trained tokens,", run.Loader.Steps(), "steps")
	fmt.Println(run.Model.Params.TrainableLen(), "trained of", run.Model.BaseLen(), "parameters")
	// Output:
	// 8 records, 32 trained tokens, 3 steps
	// 1088 trained of 5712 parameters
}

func ExampleRun_Train() {
	dir, text := tiny()
	defer os.RemoveAll(dir)
	c, err := config.Parse("run.yaml", []byte(text), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := graft.Prepare(context.Background(), c, graft.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	result, err := run.Train(context.Background(), false, func(e train.Event) {
		fmt.Println("step", e.Step, "of", e.TotalSteps, "trained on", e.TargetTokens, "tokens")
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("used what was planned:", result.Used == result.Planned)
	fmt.Println(filepath.Base(result.Output))
	// Output:
	// step 1 of 3 trained on 20 tokens
	// step 2 of 3 trained on 12 tokens
	// step 3 of 3 trained on 20 tokens
	// used what was planned: true
	// adapter
}

func ExampleMerge() {
	dir, text := tiny()
	defer os.RemoveAll(dir)
	c, err := config.Parse("run.yaml", []byte(text), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := graft.Prepare(context.Background(), c, graft.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	result, err := run.Train(context.Background(), false, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	merged := filepath.Join(dir, "merged")
	if _, err := graft.Merge(context.Background(), graft.MergeOptions{Model: run.Base.Dir, Adapters: []graft.Weighted{{Dir: result.Output, Weight: 1}}, Out: merged}); err != nil {
		fmt.Println(err)
		return
	}
	base, err := graft.OpenBase(merged, "auto")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer base.Close()
	fmt.Println(base.Config.Family, base.Config.Layers, "layers")
	// Output: llama 2 layers
}
