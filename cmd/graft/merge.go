package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
)

func mergeCommand() *cli.Command {
	return &cli.Command{
		Name: "merge", Usage: "write the base with an adapter merged into its weights, and measure what that changed",
		Description: "graft merge --model ./SmolLM2-135M --adapter runs/x/adapter --out merged\n" +
			"graft merge --model ./SmolLM2-135M --adapter runs/qlora/adapter --onto dequant --out merged\n\n" +
			"An adapter of method.type qlora was trained on the base in four bits: --onto dequant merges it\n" +
			"onto the decoded weights that it was trained on.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Usage: "the base `DIR`", Required: true},
			&cli.StringSliceFlag{Name: "adapter", Usage: "an adapter `DIR`, or DIR:WEIGHT; may be repeated, then they add up", Required: true},
			&cli.StringFlag{Name: "out", Usage: "the new model `DIR`", Required: true},
			&cli.StringFlag{Name: "onto", Value: "original", Usage: "original: the weights of the checkpoint; dequant: decoded from nf4"},
			&cli.StringFlag{Name: "trained-on", Usage: "none or nf4: how the base was stored in training, which drift is measured from (default: as --onto says)"},
			&cli.StringFlag{Name: "quant", Value: "none", Usage: "none, or nf4: quantise the merged weights, and say how much of the update survives"},
			&cli.IntFlag{Name: "verify", Value: 8, Usage: "samples of 64 tokens to compare with the adapter beside the base; 0 is none"},
			&cli.StringFlag{Name: "text", Usage: "a text `FILE` to take the samples from; else tokens are random"},
			&cli.Float64Flag{Name: "max-kl", Value: 0.02, Usage: "the largest drift, in nats a token; beyond it the exit code is 83"},
			&cli.StringFlag{Name: "device", Value: "auto", Usage: "where the sums and samples are computed: auto, cpu, cuda:N or reference"},
			jsonFlag(),
		},
		Action: merge,
	}
}

func merge(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	o := graft.MergeOptions{
		Model: c.String("model"), Out: c.String("out"), Samples: c.Int("verify"), Text: c.String("text"),
		MaxKL: c.Float64("max-kl"), Device: c.String("device"), TrainedOn: model.Quantization(c.String("trained-on")),
		Progress: newProgress(c),
	}
	var err error
	if o.Adapters, err = weighted(c.StringSlice("adapter")); err != nil {
		return err
	}
	for flag, to := range map[string]struct {
		off, on string
		set     *bool
	}{"onto": {"original", "dequant", &o.Dequantized}, "quant": {"none", "nf4", &o.NF4}} {
		switch v := c.String(flag); v {
		case to.off:
		case to.on:
			*to.set = true
		default:
			return failure.Usage("--%s %s: want %s or %s", flag, v, to.off, to.on)
		}
	}
	if o.Samples < 0 {
		return failure.Usage("--verify %d: want 0 or more", o.Samples)
	}
	m, err := graft.Merge(c.Context, o)
	if m.Output == "" {
		return err
	}
	if c.Bool("json") {
		if failed := printJSON(m); err == nil {
			err = failed
		}
		return err
	}
	fmt.Println(m.Output)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	if s := m.Survival; s != nil {
		fmt.Fprintf(w, "nf4\t%.1f %% of the update survives; its error is %.0f %% of it\n", 100*s.Kept, 100*s.Error)
	}
	if d := m.Drift; d != nil {
		fmt.Fprintf(w, "drift\tKL %.3g nats a token, %.3g at most, over %d tokens of %d samples\n", d.KL, d.MaxKL, d.Tokens, d.Samples)
		fmt.Fprintf(w, "\ta logit moves by %.3g at most; %.1f %% of the likeliest tokens are the same\n", d.Logit, 100*d.Agree)
		fmt.Fprintf(w, "adapter\tKL %.3g nats a token from the base\n", d.Effect)
	}
	return err
}
