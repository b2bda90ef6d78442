package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/failure"
)

// refuseUsage makes a wrong flag of any command one sentence of kind Usage:
// a command asks only itself what to do about it.
func refuseUsage(commands []*cli.Command, path string) {
	for _, c := range commands {
		name := path + " " + c.Name
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return wrongFlag(name, c.Flags, err) }
		if len(c.Subcommands) > 0 && c.Action == nil {
			c.Action = orHelp(name, cli.ShowSubcommandHelp)
		}
		refuseUsage(c.Subcommands, name)
	}
}

// orHelp is the action of what has only commands: a word is none of them.
func orHelp(name string, help func(*cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.Args().Present() {
			return failure.Usage("%q is no command of %s; see %s --help", c.Args().First(), name, name)
		}
		return help(c)
	}
}

// warnSlow has every command that opens a device say what a build without native
// code computes with, unless its flag names a device.
func warnSlow(commands []*cli.Command) {
	for _, c := range commands {
		if takesValue(c.Flags, "device") {
			c.Before = func(ctx *cli.Context) error {
				if name := ctx.String("device"); name == "" || name == "auto" {
					fmt.Fprintln(os.Stderr, "graft: warning: a build without cgo computes in plain Go loops, slow and exact; one with cgo and a C++ compiler has the fast device cpu")
				}
				return nil
			}
		}
		warnSlow(c.Subcommands)
	}
}

func wrongFlag(command string, flags []cli.Flag, err error) error {
	unknown, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
	if !ok {
		return failure.Usage("%v; see %s --help", err, command)
	}
	unknown = strings.TrimLeft(unknown, "-")
	if len(unknown) == 1 {
		return failure.Usage("%s has no flag -%s; see %s --help", command, unknown, command)
	}
	if hint := cli.SuggestFlag(flags, unknown, true); hint != "" {
		return failure.Usage("%s has no flag --%s; did you mean %s? See %s --help", command, unknown, hint, command)
	}
	return failure.Usage("%s has no flag --%s; see %s --help", command, unknown, command)
}
