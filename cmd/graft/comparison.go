package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "train each method on the same data and budget, and print the table", ArgsUsage: "RUN.yaml",
		Description: "graft compare run.yaml --set train.max_steps=100\n" +
			"graft compare run.yaml --methods lora,prompt,full\n\n" +
			"Each method trains in a directory of its own below train.output_dir; compare.html and compare.json are written there.\n" +
			"A method other than the file's own has its defaults, the learning rate included.",
		Flags: runFlags(&cli.StringFlag{Name: "methods", Usage: "the `METHODS` to train; by default every one that makes text"}),
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c, "a run file")
			if err != nil {
				return err
			}
			sets := settings(c)
			cfg, err := config.Load(path, sets)
			if err != nil {
				return err
			}
			if err := cfg.Require("train.output_dir"); err != nil {
				return err
			}
			methods := slices.DeleteFunc(config.Methods(), func(m string) bool { return m == "head" })
			if list := c.String("methods"); list != "" {
				methods = strings.Split(list, ",")
			}
			for _, m := range methods {
				if !slices.Contains(config.Methods(), m) {
					return failure.Usage("--methods %s: the methods are %s", m, strings.Join(config.Methods(), ", "))
				}
			}
			load := func(method string) (*config.Config, error) { return config.LoadAs(path, method, sets) }
			last := ""
			all, err := graft.Compare(c.Context, cfg.Train.OutputDir, methods, load, graft.Options{Progress: newProgress(c)}, func(method string, e train.Event) {
				if method != last {
					fmt.Fprintf(os.Stderr, "%s\n", method)
					last = method
				}
				switch {
				case e.Message != "":
					fmt.Fprintf(os.Stderr, "  %s\n", e.Message)
				case e.Step == e.TotalSteps || e.EvalLoss != nil || e.Step%50 == 0:
					fmt.Fprintf(os.Stderr, "  %s\n", eventLine(e))
				}
			})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(all)
			}
			printCompared(all)
			fmt.Printf("\nwritten  %s\n", filepath.Join(cfg.Train.OutputDir, "compare.html"))
			return nil
		},
	}
}

func printCompared(all []graft.Compared) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "method\ttrained\tshare\tlearning rate\tplanned\tused\tseconds\ttokens/s\tfile\tloss before\tafter\t")
	for _, c := range all {
		if c.Refused != "" {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%.3g %%\t%.0e\t%s\t%s\t%.1f\t%.0f\t%s\t%.4f\t%.4f\t\n", c.Method, count(c.Trainable), 100*c.Share, c.LearningRate,
			size(c.PlannedBytes), size(c.UsedBytes), c.Seconds, c.TokensPerSec, size(c.FileBytes), c.EvalBefore, c.EvalAfter)
	}
	w.Flush()
	fmt.Println()
	for _, c := range all {
		if c.Refused != "" {
			fmt.Printf("%-7s not trained: %s\n", c.Method, c.Refused)
		} else {
			fmt.Printf("%-7s %s\n", c.Method, c.Advice)
		}
	}
}

// planComparison plans methods beside each other, from a config.json alone.
func planComparison(c *cli.Context) error {
	cfg, err := comparedConfig(c)
	if err != nil {
		return err
	}
	shape, err := graft.PlannedModel(cfg.Model.Path)
	if err != nil {
		return err
	}
	profile, err := device.Profile(cfg.Device, cfg.Threads)
	if err != nil {
		return err
	}
	methods := []string{cfg.Method.Type}
	if list := c.String("compare"); list == "all" {
		methods = config.Methods()
	} else if list != "" {
		methods = strings.Split(list, ",")
	}
	rows := graft.Shape{MicroBatch: cfg.Train.MicroBatch, Sequence: min(cfg.Data.MaxSeqLength, shape.MaxPositions)}
	limit := int64(cfg.Memory.Limit)
	var all []graft.Alternative
	for _, name := range methods {
		own := cfg
		if name != cfg.Method.Type {
			if own, err = otherMethod(cfg, name); err != nil {
				return err
			}
		}
		a, err := graft.PlanMethod(shape, own, profile, rows, limit)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, a)
	}
	advice := graft.Advice(all, limit, c.Int("records"))
	if c.Bool("json") {
		return printJSON(map[string]any{"model": cfg.Model.Path, "device": profile.Name, "micro_batch_size": rows.MicroBatch,
			"sequence": rows.Sequence, "memory": limit, "methods": all, "advice": advice})
	}
	fmt.Printf("%s on %s, micro-batches of %d x %d tokens\n\n", cfg.Model.Path, profile.Name, rows.MicroBatch, rows.Sequence)
	printAlternatives(all, limit)
	fmt.Printf("\nadvice  %s\n", advice)
	return nil
}

// comparedConfig is the run file, if there is one, with the flags.
func comparedConfig(c *cli.Context) (*config.Config, error) {
	sets := settings(c)
	if m := c.String("model"); m != "" {
		sets = append(sets, fmt.Sprintf("model.path=%q", m))
	}
	if c.NArg() > 0 {
		path, err := oneArgument(c, "a run file")
		if err != nil {
			return nil, err
		}
		return config.Load(path, sets)
	}
	if c.String("model") == "" {
		return nil, failure.Usage("graft plan --compare takes a run file, or --model with a directory, a config.json or a known shape")
	}
	return config.Parse("--compare", []byte("{}"), sets)
}

// otherMethod is the defaults of another method, for the same model, device and
// memory.
func otherMethod(cfg *config.Config, name string) (*config.Config, error) {
	if !slices.Contains(config.Methods(), name) {
		return nil, failure.Usage("--compare %s: the methods are %s", name, strings.Join(config.Methods(), ", "))
	}
	other, err := config.Parse("--compare", []byte("method: {type: "+name+"}"), nil)
	if err != nil {
		return nil, err
	}
	other.Model.Path, other.Model.DType = cfg.Model.Path, cfg.Model.DType
	other.Memory, other.Optim.State, other.Train.Seed = cfg.Memory, cfg.Optim.State, cfg.Train.Seed
	return other, nil
}

func printAlternatives(all []graft.Alternative, limit int64) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "method\ttrainable\tshare\tweights\tparameters\tgradients\toptimizer\tactivations\tworkspace\tin all\tfile\tGFLOP/token\t"
	if limit > 0 {
		head += "largest batch\tlongest row\t"
	}
	fmt.Fprintln(w, head)
	for _, a := range all {
		x := a.Parts
		fmt.Fprintf(w, "%s\t%s\t%.3g %%\t", a.Method, count(a.Trainable), 100*a.Share)
		for _, n := range []int64{x.Weights, x.Parameters, x.Gradients, x.Optimizer, x.Activations, x.Workspace + x.Staging + x.Other, a.Total, a.FileBytes} {
			fmt.Fprintf(w, "%s\t", size(n))
		}
		fmt.Fprintf(w, "%.3g\t", a.FLOPs/1e9)
		if limit > 0 {
			fmt.Fprintf(w, "%s\t%s\t", orNone(a.LargestBatch), orNone(a.LargestSequence))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Println()
	for _, a := range all {
		if limit <= 0 || a.Total <= limit {
			continue
		}
		fmt.Printf("%s does not fit in %s: it needs %s resident", a.Method, size(limit), size(a.Total))
		if a.Streamed < a.Total {
			fmt.Printf("; with a frozen base streamed two layers at a time, which graft does not do, %s", size(a.Streamed))
		}
		fmt.Println()
	}
}

func orNone(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
