package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/bindings"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/report"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name: "plan", Aliases: []string{"estimate"}, Usage: "print every byte of a run before anything is allocated", ArgsUsage: "[RUN.yaml]",
		Description: "graft plan run.yaml\n" +
			"graft plan run.yaml --memory 2GiB\n" +
			"graft plan run.yaml --device pjrt:cpu   # and what its compiler says\n" +
			"graft plan --compare full,lora,qlora --model llama-3.1-8b --device cuda:0 --memory 80GiB\n" +
			"graft plan run.yaml --compare full,lora",
		Flags: runFlags(
			&cli.StringFlag{Name: "compare", Usage: "plan each of these `METHODS`, or all, beside the others"},
			&cli.StringFlag{Name: "model", Usage: "with --compare: a model `DIR`, a config.json, or a known shape such as llama-3.1-8b; no weights are read"},
			&cli.IntFlag{Name: "records", Usage: "with --compare: how many training records there are, for the advice; by default those of the run file"},
		),
		Action: func(c *cli.Context) error {
			if c.IsSet("compare") || c.IsSet("model") {
				return planComparison(c)
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			run, err := graft.Prepare(c.Context, cfg, graft.Options{Progress: newProgress(c), Compiling: compiling, Stdin: os.Stdin, PlanOnly: true})
			if err != nil {
				return err
			}
			defer run.Close()
			compiled, err := run.Compiled()
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printPlan(run, compiled)
			}
			describe(os.Stdout, run)
			describeRoom(os.Stdout, run.Room())
			describeCompiled(os.Stdout, run.Plan.Bytes, compiled)
			return nil
		},
	}
}

// printPlan prints a plan as JSON.
func printPlan(run *graft.Run, compiled []bindings.Compiled) error {
	return printJSON(map[string]any{
		"compiled": compiled, "bytes": run.Plan.Parts, "total": run.Plan.Bytes.Total(), "bucket": run.Plan.Bucket,
		"flops": run.Plan.FLOPs, "operations": run.Plan.Calls, "trainable": run.Model.Params.TrainableLen(),
		"recomputed": run.Plan.Recomputed, "blocks": run.Plan.Blocks, "file_bytes": run.FileBytes(), "flops_per_token": perToken(run.Plan),
		"room": run.Room(), "parameters": run.BaseLen(), "steps": run.Loader.Steps(), "data": run.Data,
	})
}

// describe prints what a run is and what it needs.
func describe(to io.Writer, r *graft.Run) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	p, base, trainable := r.Plan, r.BaseLen(), r.Model.Params.TrainableLen()
	fmt.Fprintf(w, "base\t%s (%s, %s parameters, %s)\n", r.Base.Dir, r.Base.Config.Family, count(base), r.Base.Types.Compute)
	if r.Base.Described() {
		fmt.Fprintf(w, "\tits weights are not there: planned by its config.json\n")
	}
	fmt.Fprintf(w, "method\t%s: %s trainable, %.3g %% of the base\n", r.Config.Method.Type, count(trainable), 100*float64(trainable)/float64(base))
	fmt.Fprintf(w, "\tits file takes %s\n", size(r.FileBytes()))
	fmt.Fprintf(w, "device\t%s\n", r.Backend.Info())
	fmt.Fprintf(w, "data\t%d records, %d tokens, %d of them trained\n", r.Data.Records, r.Data.Tokens, r.Data.Targets)
	if d := r.Data; d.Skipped+d.Truncated+d.Split+d.Dropped > 0 {
		fmt.Fprintf(w, "\t%d records skipped, %d truncated, %d split, %d dropped\n", d.Skipped, d.Truncated, d.Split, d.Dropped)
	}
	if r.Data.Cache != "" {
		fmt.Fprintf(w, "\ttokenised rows: %s\n", r.Data.Cache)
	}
	if d := r.Data; d.Rows > 0 && d.EndTrained == 0 && !r.Rows().Labelled() && r.Base.Tokenizer != nil {
		fmt.Fprintf(w, "\twarning: no record trains the end token, so generation would not learn to stop\n")
	}
	if r.Overlap > 0 {
		fmt.Fprintf(w, "\twarning: %d evaluation records are also in the training data\n", r.Overlap)
	}
	fmt.Fprintf(w, "steps\t%d, packing fills %.1f %% of a micro-batch\n", r.Loader.Steps(), 100*r.Loader.Efficiency(0))
	if f := r.FeaturePlan(); f != nil {
		fmt.Fprintf(w, "features\t%s while the base computes them, once\n", size(f.Bytes.Total()))
	}
	x := p.Parts
	fmt.Fprintf(w, "memory\t%s in all\n", size(p.Bytes.Total()))
	for _, part := range []struct {
		name  string
		bytes int64
	}{
		{"weights (frozen)", x.Weights}, {"parameters", x.Parameters}, {"gradients", x.Gradients}, {"optimizer", x.Optimizer},
		{"activations", x.Activations}, {"logits", x.Logits}, {"staging", x.Staging}, {"workspace", x.Workspace}, {"other", x.Other},
	} {
		fmt.Fprintf(w, "\t%s\t%s\t%d bytes\n", part.name, size(part.bytes), part.bytes)
	}
	if x.Saved > 0 {
		fmt.Fprintf(w, "\tnf4 saves\t%s\t%d bytes against %s\n", size(x.Saved), x.Saved, r.Base.Types.Compute)
	}
	if p.Recomputed > 0 {
		fmt.Fprintf(w, "recomputed\t%d of %d layers run again in the backward pass\n", p.Recomputed, p.Blocks)
	}
	fmt.Fprintf(w, "micro-step\t%.3g GFLOP for %d tokens, %.3g a token, %d operations\n", p.FLOPs/1e9, p.Bucket.Tokens, perToken(p)/1e9, p.Calls)
	w.Flush()
}

// perToken is the arithmetic of a step for each token.
func perToken(p plan.Plan) float64 { return p.FLOPs / float64(max(p.Bucket.Tokens, 1)) }

// describeRoom prints what the memory would hold.
func describeRoom(to io.Writer, x *graft.Room) {
	if x == nil {
		return
	}
	fmt.Fprintf(to, "room        %s would hold a micro-batch of %s rows of %d tokens, or one row of %s\n", size(x.Memory), orNone(x.LargestBatch), x.Length, orNone(x.LargestSequence))
}

// describeCompiled sets what a compiler says of its programs beside the plan.
// What they are given lies in memory between launches and is exact in the plan;
// temporaries are the compiler's.
func describeCompiled(to io.Writer, planned bindings.Plan, all []bindings.Compiled) {
	if len(all) == 0 {
		return
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "compiler\tits own figures, for the largest micro-batch")
	fmt.Fprintln(w, "\tprogram\tgiven\tkept\ttemporary\tcode\tcompiled in")
	var temporary int64
	for _, c := range all {
		fmt.Fprintf(w, "\t%s\t%s\t%s\t%s\t%s\t%.1f s\n", c.Name, size(c.Arguments), size(c.Results-c.Aliased), size(c.Temporary), size(c.Code), c.Seconds)
		temporary = max(temporary, c.Temporary)
	}
	held := planned.Total() - planned[bindings.Activations] - planned[bindings.Workspace]
	fmt.Fprintf(w, "\tat most\t%s: %s held, as planned, and %s of temporaries, which the plan has as %s of activations\n",
		size(held+temporary), size(held), size(temporary), size(planned[bindings.Activations]))
	w.Flush()
}

func size(n int64) string { return report.Size(n) }

func count(n int) string { return report.Count(n) }
