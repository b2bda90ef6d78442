package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/graftlm/graft/bindings"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
)

func runFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		setFlag(),
		&cli.StringFlag{Name: "device", Usage: "auto, cpu, cuda:N, pjrt:PLUGIN or reference; the same as --set device=…"},
		&cli.StringFlag{Name: "memory", Usage: "fit the plan into this, as 24GiB, or refuse it; the same as --set memory.limit=…"},
		jsonFlag(),
	}, more...)
}

func trainCommand() *cli.Command {
	return &cli.Command{
		Name: "train", Usage: "train a run file", ArgsUsage: "RUN.yaml",
		Description: "graft train run.yaml\n" +
			"graft train run.yaml --set optim.learning_rate=1e-4 --set train.output_dir=runs/b\n" +
			"graft train run.yaml --resume auto\n" +
			"graft train run.yaml --resume runs/x/checkpoints/step-400",
		Flags: runFlags(
			&cli.StringFlag{Name: "resume", Usage: "auto: go on from the newest checkpoint of train.output_dir, if there is one; or from the checkpoint `DIR`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "check everything and print the plan, without training"},
		),
		Action: func(c *cli.Context) error {
			resume, from := c.IsSet("resume"), c.String("resume")
			switch {
			case resume && from == "":
				return failure.Usage("--resume: want auto, or a checkpoint directory")
			case from == "auto":
				from = ""
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if err := cfg.Require("train.output_dir"); err != nil {
				return err
			}
			if err := graft.CheckOutput(cfg, resume, from); err != nil && !c.Bool("dry-run") {
				return err
			}
			run, err := graft.Prepare(c.Context, cfg, graft.Options{Progress: newProgress(c), Compiling: compiling, Stdin: os.Stdin, ResumeFrom: from})
			if err != nil {
				return err
			}
			defer run.Close()
			var done *train.Result
			if resume {
				if done, err = run.Finished(); err != nil {
					return err
				}
			}
			if done == nil {
				describe(os.Stderr, run)
			}
			if c.Bool("dry-run") && c.Bool("json") {
				compiled, err := run.Compiled()
				if err != nil {
					return err
				}
				return printPlan(run, compiled)
			}
			if c.Bool("dry-run") {
				return nil
			}
			result, err := run.Train(c.Context, resume, progress(run.Loader.Steps()))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(result)
			}
			printResult(result)
			return nil
		},
	}
}

func printResult(r train.Result) {
	fmt.Printf("steps      %d\nloss       %.4f\n", r.Steps, r.Loss)
	if r.EvalBefore != nil && r.EvalAfter != nil {
		fmt.Printf("eval loss  %.4f before, %.4f after\n", *r.EvalBefore, *r.EvalAfter)
	}
	fmt.Printf("speed      %.0f tokens/s\n", r.TokensPerSec)
	if r.Skipped > 0 {
		fmt.Printf("skipped    %d steps that were not finite\n", r.Skipped)
	}
	fmt.Printf("memory     planned %s, used %s\n", size(r.Planned.Total()), size(r.Used.Total()))
	fmt.Printf("written    %s\n", r.Output)
}

// progress shows a line that changes on a terminal, and plain lines otherwise.
func progress(total int) func(train.Event) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		last := time.Time{}
		return func(e train.Event) {
			switch {
			case e.Message != "":
				fmt.Fprintln(os.Stderr, e.Message)
			case e.Step == 1 || e.Step == e.TotalSteps || e.EvalLoss != nil || time.Since(last) > 5*time.Second:
				last = time.Now()
				fmt.Fprintln(os.Stderr, eventLine(e))
			}
		}
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(24), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	return func(e train.Event) {
		if e.Message != "" || e.EvalLoss != nil {
			bar.Clear()
			fmt.Fprintln(os.Stderr, strings.TrimSpace(e.Message+eventLineIf(e)))
		}
		if e.Step > 0 {
			bar.Describe(fmt.Sprintf("loss %.4f  %.0f tokens/s  %s", e.Loss, e.TokensPerSec, memoryUsed(e)))
			bar.Set(e.Step)
		}
	}
}

func eventLineIf(e train.Event) string {
	if e.Message != "" {
		return ""
	}
	return eventLine(e)
}

func eventLine(e train.Event) string {
	line := fmt.Sprintf("step %d/%d  loss %.4f  grad_norm %.3f  lr %.2e  %.0f tokens/s  %s  %s left",
		e.Step, e.TotalSteps, e.Loss, e.GradNorm, e.LR, e.TokensPerSec, memoryUsed(e), e.Left.Round(time.Second))
	if e.EvalLoss != nil {
		line += fmt.Sprintf("  eval_loss %.4f", *e.EvalLoss)
	}
	return line
}

// memoryUsed is the peak so far, of what was planned.
func memoryUsed(e train.Event) string { return size(e.Used) + " of " + size(e.Planned) }

// compiling tells of a program that takes a while before its first step.
func compiling(c bindings.Compiled) {
	if c.Seconds == 0 {
		fmt.Fprintf(os.Stderr, "compiling %s: %d operations\n", c.Name, c.Lines)
	} else {
		fmt.Fprintf(os.Stderr, "compiled %s in %.1f s, %s of temporaries\n", c.Name, c.Seconds, size(c.Temporary))
	}
}
