package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
)

// parsing is the program without what its commands do.
func parsing() *cli.App {
	app := newApp()
	app.Writer, app.ErrWriter = io.Discard, io.Discard // of the help of groups
	each(app.Commands, func(c *cli.Command) {
		c.Before = nil
		if len(c.Subcommands) == 0 {
			c.Action = func(*cli.Context) error { return nil }
		}
	})
	return app
}

func each(commands []*cli.Command, f func(*cli.Command)) {
	for _, c := range commands {
		f(c)
		each(c.Subcommands, f)
	}
}

// TestEachCommandShowsHow: --help of every command has an example of it.
func TestEachCommandShowsHow(t *testing.T) {
	each(newApp().Commands, func(c *cli.Command) {
		if c.Name != "help" {
			assert.Contains(t, c.Description, "graft ", c.Name)
		}
	})
}

var (
	fence  = regexp.MustCompile("(?ms)^```\\w*\\n(.*?)^```$")
	inline = regexp.MustCompile("`(graft [a-z][^`\n|]*)`")
	inset  = regexp.MustCompile(`(?m)^ {3,4}(graft .*)$`)
	inCode = regexp.MustCompile(`(?m)(?:^|^\$ |\| |until |=\S* )(graft [a-z].*)$`)
	// Prose names a command alone, or with the flag that it speaks of.
	lacking = regexp.MustCompile(`^Required flag|flag needs an argument`)
	mention = regexp.MustCompile(`^graft [a-z]+( [a-z]+)?( --(input|compare))?$`)
	word    = regexp.MustCompile(`'[^']*'|\$\([^)]*\)|\S+`)
)

// TestShownCommandsParse: the commands that pages and --help show exist, with
// their flags.
func TestShownCommandsParse(t *testing.T) {
	texts := map[string]string{}
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/methods/*.md"} {
		pages, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, pages)
		for _, page := range pages {
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			texts[page] = string(text)
		}
	}
	each(newApp().Commands, func(c *cli.Command) { texts["--help of "+c.Name] = "```\n" + c.Description + "\n```" })
	texts["--help"] = newApp().Description
	number := 0
	for place, text := range texts {
		var lines []string
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			for _, m := range inCode.FindAllStringSubmatch(block[1], -1) {
				lines = append(lines, m[1])
			}
		}
		text = fence.ReplaceAllString(text, "")
		for _, mark := range []*regexp.Regexp{inline, inset} {
			for _, m := range mark.FindAllStringSubmatch(text, -1) {
				lines = append(lines, m[1])
			}
		}
		for _, line := range lines {
			args, app := words(line), parsing()
			err := app.RunContext(context.Background(), flagsFirst(app, args))
			if err != nil && mention.MatchString(strings.Join(args, " ")) && lacking.MatchString(err.Error()) {
				err = nil
			}
			assert.NoError(t, err, "%s: %s", place, line)
			number++
		}
	}
	assert.Greater(t, number, 80)
}

// words are those of a shell's line, up to its first comment, pipe or redirection.
func words(line string) (all []string) {
	for _, w := range word.FindAllString(line, -1) {
		end := strings.HasSuffix(w, ";")
		w = strings.TrimSuffix(w, ";")
		if w == "|" || strings.HasPrefix(w, "#") || strings.HasPrefix(w, ">") {
			return all
		}
		if all = append(all, strings.Trim(w, "'")); end {
			return all
		}
	}
	return all
}
