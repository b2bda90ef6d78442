package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
)

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
