// Command graft fine-tunes language models. It turns flags and a run file into
// calls of the packages below go/, prints, and is the only place that exits.
//
// Results go to stdout, logs and progress to stderr. Exit codes are those of
// package failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
)

func main() {
	ctx, stop := interruptible(os.Args)
	defer stop()
	os.Exit(run(ctx, os.Args))
}

// run is main without the exit.
func run(ctx context.Context, args []string) int {
	app := newApp()
	err := app.RunContext(ctx, flagsFirst(app, args))
	if err == nil {
		return 0
	}
	if errors.Is(err, errEnded) {
		return interrupted
	}
	if errors.Is(err, context.Canceled) {
		err = failure.Preempted("stopped")
	}
	fmt.Fprintf(os.Stderr, "graft: %v\n", err)
	return failure.Code(err)
}

// interrupted is the exit code of what a signal ended at once.
const interrupted = 130

// stopping are the signals that ask a command to end.
var stopping = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1}

// interruptible gives a context that the first of these signals cancels; the
// second ends the process at once, and the newest checkpoint stays whole. A
// conversation takes the signals for itself.
func interruptible(args []string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopping...)
	doing := "stopping"
	if len(args) > 1 && (args[1] == "train" || args[1] == "compare") {
		doing = "finishing the step and saving a checkpoint"
	}
	go func() {
		<-signals
		fmt.Fprintf(os.Stderr, "\ngraft: %s; once more to stop at once\n", doing)
		cancel()
		<-signals
		os.Exit(interrupted)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

func newApp() *cli.App {
	app := &cli.App{
		Name:                      "graft",
		Usage:                     "fine-tune language models, without Python",
		Version:                   graft.Version(),
		HideVersion:               true,
		Suggest:                   true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // codes are given in run
		OnUsageError:              func(c *cli.Context, err error, _ bool) error { return wrongFlag("graft", c.App.Flags, err) },
		Description: "A first run:\n\n" +
			"   graft plan run.yaml        every byte before anything is allocated\n" +
			"   graft data show run.yaml   which tokens will be trained\n" +
			"   graft train run.yaml       trains; Ctrl-C saves, --resume auto goes on\n" +
			"   graft chat MODEL --adapter runs/x/adapter",
		Commands: []*cli.Command{
			trainCommand(), planCommand(), compareCommand(), dataCommand(), evalCommand(),
			generateCommand(), chatCommand(), classifyCommand(), mergeCommand(), quantizeCommand(),
			adapterCommand(), inspectCommand(), devicesCommand(), benchCommand(), selfcheckCommand(), tokenizerCommand(),
			tokenizeCommand(), templateCommand(), configCommand(), completionCommand(), versionCommand(),
		},
	}
	app.Action = orHelp(app.Name, cli.ShowAppHelp)
	refuseUsage(app.Commands, app.Name)
	if !device.Native {
		warnSlow(app.Commands)
	}
	return app
}

// flagsFirst moves flags ahead of arguments, command by command: the library
// stops reading flags at the first argument, and says nothing.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	out := []string{args[0]}
	commands := app.Commands
	var known []cli.Flag
	i := 1
	for ; i < len(args); i++ { // the path of commands
		c := find(commands, args[i])
		if c == nil {
			break
		}
		out, known, commands = append(out, args[i]), c.Flags, c.Subcommands
	}
	var flags, rest []string
	for ; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if name := strings.TrimLeft(a, "-"); !strings.Contains(a, "=") && takesValue(known, name) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	out = append(out, flags...)
	for _, r := range rest {
		if strings.HasPrefix(r, "-") && r != "-" {
			out = append(out, "--")
			break
		}
	}
	return append(out, rest...)
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}

// oneArgument gives the only argument of a command.
func oneArgument(c *cli.Context, what string) (string, error) {
	switch {
	case c.NArg() == 0:
		return "", failure.Usage("%s is missing: %s %s; see %s --help", what, c.Command.HelpName, c.Command.ArgsUsage, c.Command.HelpName)
	case c.NArg() > 1:
		return "", failure.Usage("%q is one argument too many; %s takes %s", c.Args().Get(1), c.Command.HelpName, what)
	}
	return c.Args().First(), nil
}

func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return failure.Usage("%q: %s takes no arguments", c.Args().First(), c.Command.HelpName)
	}
	return nil
}
