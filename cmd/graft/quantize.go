package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
)

func quantizeCommand() *cli.Command {
	return &cli.Command{
		Name: "quantize", Usage: "write a model with its linear layers in four bits (NF4), as bitsandbytes does", ArgsUsage: "MODEL",
		Description: "graft quantize ./SmolLM2-135M --out ./SmolLM2-135M-nf4",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "the new model `DIR`", Required: true},
			&cli.BoolFlag{Name: "double-quant", Usage: "quantise the scales in turn", Value: true},
			&cli.StringFlag{Name: "device", Value: "auto", Usage: "where it is computed: auto, cpu, cuda:N or reference; the bits are the same"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			dir, err := oneArgument(c, "a model directory")
			if err != nil {
				return err
			}
			q, err := graft.Quantize(c.Context, graft.QuantizeOptions{
				Model: dir, Out: c.String("out"), Single: !c.Bool("double-quant"), Device: c.String("device"), Progress: newProgress(c),
			})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(q)
			}
			fmt.Printf("%s\n%d matrices of %s parameters in nf4; %s of weights became %s\n", q.Output, q.Matrices, count(q.Parameters), size(q.Before), size(q.After))
			return nil
		},
	}
}
