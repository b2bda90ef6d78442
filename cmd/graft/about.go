package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
)

// jsonFlag is on every command that reports.
func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON, for scripts"} }

// printJSON writes a result to stdout.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printLine writes a result to stdout as one line of JSON.
func printLine(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	return failure.As(failure.ErrIO, e.Encode(v))
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print what this binary is", Flags: []cli.Flag{jsonFlag()},
		Description: "graft version --json",
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(map[string]string{"version": graft.Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			fmt.Printf("graft %s (%s, %s/%s)\n", graft.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

func configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "the keys of a run file",
		Description: "graft config schema > graft.schema.json\ngraft config show run.yaml",
		Subcommands: []*cli.Command{
			{
				Name: "schema", Usage: "print the JSON Schema of a run file",
				Description: "graft config schema > graft.schema.json",
				Action: func(c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					_, err := os.Stdout.Write(append(config.Schema(), '\n'))
					return err
				},
			},
			{
				Name: "show", Usage: "print a run file with every value, and where it comes from", ArgsUsage: "RUN.yaml",
				Description: "graft config show run.yaml --set optim.learning_rate=1e-4",
				Flags:       []cli.Flag{setFlag(), jsonFlag()},
				Action: func(c *cli.Context) error {
					cfg, err := loadConfig(c)
					if err != nil {
						return err
					}
					if c.Bool("json") {
						return printJSON(cfg)
					}
					_, err = os.Stdout.Write(cfg.Resolved())
					return err
				},
			},
		},
	}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "set a key of the run file, `a.b=c`; may be repeated"}
}

// loadConfig reads the run file that is the command's only argument.
func loadConfig(c *cli.Context) (*config.Config, error) {
	path, err := oneArgument(c, "a run file")
	if err != nil {
		return nil, err
	}
	return config.Load(path, settings(c))
}

// settings are what the flags set.
func settings(c *cli.Context) []string {
	sets := c.StringSlice("set")
	for _, f := range []struct{ flag, key string }{{"device", "device"}, {"memory", "memory.limit"}} {
		if c.IsSet(f.flag) {
			sets = append(sets, f.key+"="+c.String(f.flag))
		}
	}
	return sets
}

func completionCommand() *cli.Command {
	scripts := map[string]string{
		"bash": `_graft() {
  local words
  words=$("${COMP_WORDS[@]:0:$COMP_CWORD}" --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -f -- "${COMP_WORDS[$COMP_CWORD]}"))
}
complete -F _graft graft
`,
		"zsh": `#compdef graft
_graft() {
  local -a words_
  words_=("${(@f)$(${words[1,$((CURRENT-1))]} --generate-bash-completion 2>/dev/null)}")
  _describe 'graft' words_
  _files
}
compdef _graft graft
`,
		"fish": `complete -c graft -f -a '(graft (commandline -opc)[2..-1] --generate-bash-completion 2>/dev/null)'
`,
	}
	return &cli.Command{
		Name: "completion", Usage: "print a completion script for bash, zsh or fish", ArgsUsage: "bash|zsh|fish",
		Description: "source <(graft completion bash)",
		Action: func(c *cli.Context) error {
			shell, err := oneArgument(c, "a shell")
			if err != nil {
				return err
			}
			script, ok := scripts[shell]
			if !ok {
				return failure.Usage("shell %q is not known; use bash, zsh or fish", shell)
			}
			fmt.Print(script)
			return nil
		},
	}
}
