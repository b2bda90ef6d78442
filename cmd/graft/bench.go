package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure this machine",
		Description: "graft bench step --model smollm2-135m --batch 4 --seq 256",
		Subcommands: []*cli.Command{{
			Name: "step", Usage: "time whole training steps of a model's shape, with random weights",
			Description: "graft bench step --model llama-3.1-8b --device cuda:0 --method qlora --batch 1 --seq 4096\n" +
				"graft bench step --model smollm2-135m --device cpu --method lora --batch 4 --seq 256 --json\n\n" +
				"The FLOPs are those of matrix products and attention, two for a product and its sum, counted from the\n" +
				"operations of the step: frozen weights have no gradient. MFU leaves out layers that run again.\n\n" +
				"The weights are normal numbers of one uploaded block, with signs that the device draws; qlora's are quantised there.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "model", Usage: "a known shape such as llama-3.1-8b, a model `DIR` or a config.json; no weights are read", Required: true},
				&cli.StringFlag{Name: "method", Value: "lora", Usage: "full, lora, qlora, prompt, ptuning or prefix, with its defaults (lora: r 16 on all linear layers)"},
				&cli.IntFlag{Name: "batch", Value: 1, Usage: "rows of a micro-batch"},
				&cli.IntFlag{Name: "seq", Value: 1024, Usage: "tokens of a row, all of them targets"},
				&cli.IntFlag{Name: "steps", Value: 5, Usage: "steps that are timed, after one that is not"},
				&cli.Float64Flag{Name: "peak", Usage: "`TFLOP/s` of the hardware for MFU; by default the data sheet of GPUs that are known, in bf16"},
				&cli.StringFlag{Name: "device", Usage: "auto, cpu, cuda:N, pjrt:PLUGIN or reference"},
				&cli.StringFlag{Name: "memory", Usage: "fit the plan into this, as 24GiB"},
				setFlag(), jsonFlag(),
			},
			Action: benchStep,
		}},
	}
}

func benchStep(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Int("steps") < 1 || c.Int("batch") < 1 || c.Int("seq") < 2 {
		return failure.Usage("--steps %d --batch %d --seq %d: want at least 1, 1 and 2", c.Int("steps"), c.Int("batch"), c.Int("seq"))
	}
	sets := append([]string{
		"method.type=" + c.String("method"), fmt.Sprintf("train.micro_batch_size=%d", c.Int("batch")), fmt.Sprintf("data.max_seq_length=%d", c.Int("seq")),
	}, settings(c)...)
	cfg, err := config.Parse("bench step", []byte("{}"), sets)
	if err != nil {
		return err
	}
	r, err := graft.BenchStep(c.Context, graft.StepBench{Model: c.String("model"), Settings: cfg, Steps: c.Int("steps"), Peak: 1e12 * c.Float64("peak")})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(r)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "device\t%s\n", r.Device)
	fmt.Fprintf(w, "step\t%s, %s, %s, %d x %d tokens, %s trainable\n", r.Model, r.Method, r.Compute, r.Batch, r.Sequence, count(r.Trainable))
	fmt.Fprintf(w, "speed\t%.1f tokens/s, %.4g s a step (%.4g to %.4g), the first %.4g s\n", r.TokensPerSec, float64(r.Batch*r.Sequence)/r.TokensPerSec, slices.Min(r.Seconds), slices.Max(r.Seconds), r.First)
	fmt.Fprintf(w, "FLOPs\t%.4g G of the model a step, %.4g G executed, %.4g GFLOP/s\n", r.ModelFLOPs/1e9, r.FLOPs/1e9, r.Rate/1e9)
	if r.MFU > 0 {
		fmt.Fprintf(w, "MFU\t%.1f %% of %.4g TFLOP/s\n", 100*r.MFU, r.Peak/1e12)
	}
	busy := map[string]string{"device": "uploads and launches, by the device's clock", "host": "from the first call of a step to its report, by the host's clock"}
	fmt.Fprintf(w, "busy\tat most %.2f %%: %s\n", 100*r.BusyAtMost, busy[r.BusyClock])
	fmt.Fprintf(w, "memory\tplanned %s, used %s\n", size(r.Planned.Total()), size(r.Used.Total()))
	if r.Recomputed > 0 {
		fmt.Fprintf(w, "\t%d layers run again in the backward pass\n", r.Recomputed)
	}
	for _, part := range []string{"upload", "launch", "wait", "host"} {
		fmt.Fprintf(w, "%s\t%.4g ms\n", part, 1e3*r.Parts[part])
	}
	printTimes(w, r.Operations)
	return w.Flush()
}

// printTimes prints what each operation took, the longest first.
func printTimes(w *tabwriter.Writer, times map[string]float64) {
	names, total := []string{}, 0.0
	for name, t := range times {
		names, total = append(names, name), total+t
	}
	slices.SortFunc(names, func(a, b string) int {
		if times[a] > times[b] {
			return -1
		}
		return 1
	})
	for _, name := range names {
		fmt.Fprintf(w, "  %s\t%.4g ms\t%.1f %%\n", name, 1e3*times[name], 100*times[name]/total)
	}
}
