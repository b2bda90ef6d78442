package main

import (
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
			c.Action = func(ctx *cli.Context) error {
				if ctx.Args().Present() {
					return failure.Usage("%q is no command of %s; see %s --help", ctx.Args().First(), name, name)
				}
				return cli.ShowSubcommandHelp(ctx)
			}
		}
		refuseUsage(c.Subcommands, name)
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
