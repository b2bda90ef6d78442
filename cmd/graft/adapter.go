package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/adapter"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/method/registry"
)

func adapterCommand() *cli.Command {
	return &cli.Command{
		Name: "adapter", Usage: "list and describe adapters; compare and combine those of LoRA",
		Description: "graft adapter ls runs\ngraft adapter info runs/a/adapter\ngraft adapter diff runs/a/adapter runs/b/adapter\n" +
			"graft adapter combine --type svd --rank 16 --out both runs/a/adapter:0.7 runs/b/adapter:0.3",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "find adapter directories below a directory", ArgsUsage: "[DIR]", Flags: []cli.Flag{jsonFlag()},
				Description: "graft adapter ls runs --json", Action: listAdapters,
			},
			{
				Name: "info", Usage: "say what an adapter changes, and how much", ArgsUsage: "ADAPTER", Flags: []cli.Flag{jsonFlag()},
				Description: "graft adapter info runs/a/adapter", Action: adapterInfo,
			},
			{
				Name: "diff", Usage: "compare the updates of two adapters", ArgsUsage: "ADAPTER ADAPTER", Flags: []cli.Flag{jsonFlag()},
				Description: "graft adapter diff runs/a/adapter runs/b/adapter", Action: diffAdapters,
			},
			{
				Name: "combine", Usage: "make one adapter of several", ArgsUsage: "ADAPTER[:WEIGHT]...",
				Description: "graft adapter combine --out both runs/a/adapter:0.7 runs/b/adapter:0.3\n" +
					"cat is exact and its ranks add; svd is the nearest of a given rank; the others are PEFT's.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "type", Value: string(adapter.Cat), Usage: "cat, linear, svd, ties, dare_linear, dare_ties or magnitude_prune"},
					&cli.IntFlag{Name: "rank", Usage: "of svd (default: the largest of the adapters)"},
					&cli.Float64Flag{Name: "density", Value: 0.5, Usage: "share of elements that ties, dare and magnitude_prune keep"},
					&cli.StringFlag{Name: "majority-sign", Value: "total", Usage: "of ties: by total, the sum, or by frequency, the number"},
					&cli.Uint64Flag{Name: "seed", Usage: "of dare"},
					&cli.StringFlag{Name: "out", Usage: "the new adapter `DIR`", Required: true},
					jsonFlag(),
				},
				Action: combineAdapters,
			},
		},
	}
}

// about is an adapter in a few facts. What a LoRA changes is measured.
func about(dir string) (f facts, err error) {
	m, err := registry.Read(dir)
	if err != nil {
		return f, err
	}
	f.add("path", dir)
	f.add("type", m.Name())
	if _, ok := m.(lora.Config); !ok {
		for _, fact := range m.Facts() {
			f.add(fact.Name, fact.Value)
		}
		return f, f.addWeights(dir)
	}
	a, err := adapter.Open(dir)
	if err != nil {
		return f, err
	}
	f.add("base", a.Config.BaseModel)
	f.add("r", a.Config.R)
	f.add("lora_alpha", a.Config.Alpha)
	f.add("use_rslora", a.Config.RSLoRA)
	f.add("use_dora", a.Config.DoRA)
	f.add("targets", a.Config.Targets)
	f.add("modules_to_save", a.Config.Modules)
	f.add("layers", len(a.Layers))
	f.add("norm", a.Norm())
	return f, f.addWeights(dir)
}

func listAdapters(c *cli.Context) error {
	dir := "."
	if c.Args().Present() {
		var err error
		if dir, err = oneArgument(c, "a directory"); err != nil {
			return err
		}
	}
	all := []facts{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.IsDir() || !registry.Marked(path) {
			return err
		}
		a, err := about(path)
		if err != nil { // a damaged one: the others are still of use
			fmt.Fprintln(os.Stderr, err)
			return nil
		}
		all = append(all, a)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return failure.NoInput("%s does not exist", dir)
	} else if err != nil {
		return failure.As(failure.ErrIO, err)
	}
	if c.Bool("json") {
		return printJSON(all)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, a := range all {
		shape := ""
		for _, name := range []string{"r", "layers", "num_virtual_tokens", "labels"} {
			if v, ok := a.values[name]; ok {
				shape += fmt.Sprintf("%s %v, ", name, v)
			}
		}
		fmt.Fprintf(w, "%v\t%v\t%s%v parameters, %s, base %v\n", a.values["path"], a.values["type"], shape, a.values["parameters"], size(a.values["bytes"].(int64)), a.values["base"])
	}
	return w.Flush()
}

func adapterInfo(c *cli.Context) error {
	path, err := oneArgument(c, "an adapter directory")
	if err != nil {
		return err
	}
	a, err := about(path)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(a)
	}
	a.print(os.Stdout)
	return nil
}

func diffAdapters(c *cli.Context) error {
	if c.NArg() != 2 {
		return failure.Usage("graft adapter diff takes two adapter directories, got %d", c.NArg())
	}
	x, err := adapter.Open(c.Args().Get(0))
	if err != nil {
		return err
	}
	y, err := adapter.Open(c.Args().Get(1))
	if err != nil {
		return err
	}
	d, err := adapter.Diff(x, y)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(d)
	}
	fmt.Printf("distance  %.4g of the first update\ncosine    %.4f\nnorms     %.4g, %.4g\n", d.Distance, d.Cosine, d.Norms[0], d.Norms[1])
	for _, l := range d.Layers {
		fmt.Printf("%-48s distance %.4g, cosine %.4f\n", l.Path, l.Distance, l.Cosine)
	}
	for what, list := range map[string][]string{"only the first": d.OnlyOne, "only the second": d.OnlyTwo} {
		if len(list) > 0 {
			fmt.Printf("%s: %s\n", what, strings.Join(list, ", "))
		}
	}
	return nil
}

func combineAdapters(c *cli.Context) error {
	all, err := weighted(c.Args().Slice())
	if err != nil {
		return err
	}
	var parts []adapter.Weighted
	for _, w := range all {
		a, err := adapter.Open(w.Dir)
		if err != nil {
			return err
		}
		parts = append(parts, adapter.Weighted{Adapter: a, Weight: w.Weight})
	}
	sign := c.String("majority-sign")
	if sign != "total" && sign != "frequency" {
		return failure.Usage("--majority-sign %q, want total or frequency", sign)
	}
	out, err := adapter.Combine(adapter.Kind(c.String("type")), parts, adapter.Options{
		Rank: c.Int("rank"), Density: c.Float64("density"), Frequency: sign == "frequency", Seed: c.Uint64("seed"),
	})
	if err != nil {
		return err
	}
	if err := out.Write(c.String("out")); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(map[string]any{"output": c.String("out"), "type": c.String("type"), "layers": len(out.Layers), "parameters": out.Parameters()})
	}
	fmt.Println(c.String("out"))
	return nil
}
