package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
)

func selfcheckCommand() *cli.Command {
	return &cli.Command{
		Name: "selfcheck", Usage: "compare the gradients of a model's first layers with the float64 reference", ArgsUsage: "MODEL",
		Description: "graft selfcheck ./SmolLM2-135M --layers 2",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "layers", Value: 1, Usage: "how many layers; the reference is slow"},
			&cli.StringFlag{Name: "device", Value: "auto", Usage: "the device to check"},
			&cli.StringFlag{Name: "dtype", Value: "auto", Usage: "auto, f32 or bf16"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			dir, err := oneArgument(c, "a model directory")
			if err != nil {
				return err
			}
			s, err := graft.RunSelfCheck(c.Context, dir, c.String("device"), c.String("dtype"), c.Int("layers"))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(s)
			} else {
				fmt.Printf("loss            %.6f, reference %.6f\ngradient error  %.2e (tolerance %.0e), %d layers, %d tokens\n", s.Loss, s.ReferenceLoss, s.GradientError, s.Tolerance, s.Layers, s.Tokens)
			}
			if err == nil && !s.OK() {
				err = failure.Internal("the gradients differ by more than rounding can explain; please report this with the output of graft devices")
			}
			return err
		},
	}
}
