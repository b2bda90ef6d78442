package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/adapter"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
)

func adapterCommand() *cli.Command {
	return &cli.Command{
		Name: "adapter", Usage: "list, describe, compare and combine LoRA adapters",
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
				},
				Action: combineAdapters,
			},
		},
	}
}

// about is an adapter in a few facts.
func about(a *adapter.Adapter) map[string]any {
	return map[string]any{
		"path": a.Dir, "base": a.Config.BaseModel, "r": a.Config.R, "lora_alpha": a.Config.Alpha, "use_dora": a.Config.DoRA,
		"use_rslora": a.Config.RSLoRA, "layers": len(a.Layers), "parameters": a.Parameters(), "norm": a.Norm(),
		"targets": a.Config.Targets, "modules_to_save": a.Config.Modules,
	}
}

func listAdapters(c *cli.Context) error {
	dir := "."
	if c.Args().Present() {
		dir = c.Args().First()
	}
	all := []map[string]any{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.Name() != method.ConfigFile {
			return err
		}
		a, err := adapter.Open(filepath.Dir(path))
		if err != nil { // another kind, or a damaged one: the others are still of use
			fmt.Fprintln(os.Stderr, err)
			return nil
		}
		all = append(all, about(a))
		return nil
	})
	if err != nil {
		return failure.As(failure.ErrNoInput, err)
	}
	if c.Bool("json") {
		return printJSON(all)
	}
	for _, a := range all {
		fmt.Printf("%v  r %v, %v layers, %v parameters, base %v\n", a["path"], a["r"], a["layers"], a["parameters"], a["base"])
	}
	return nil
}

func adapterInfo(c *cli.Context) error {
	path, err := oneArgument(c, "an adapter directory")
	if err != nil {
		return err
	}
	a, err := adapter.Open(path)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(about(a))
	}
	for _, k := range []string{"path", "base", "r", "lora_alpha", "use_rslora", "use_dora", "targets", "modules_to_save", "layers", "parameters", "norm"} {
		fmt.Printf("%-16s %v\n", k, about(a)[k])
	}
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
	fmt.Println(c.String("out"))
	return nil
}
