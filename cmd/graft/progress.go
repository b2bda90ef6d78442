package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// Work that is done sooner shows nothing, and a line that no terminal replaces
// is the last for a while.
const (
	patience = 2 * time.Second
	pause    = 5 * time.Second
)

// newProgress shows how far a piece of work is, by its name: a bar on a terminal,
// elsewhere, or where the whole is not known (total 0), a line now and then. With
// --json it is nil.
func newProgress(c *cli.Context) func(what string, done, total int64) {
	if c.Bool("json") {
		return nil
	}
	lines := written(func(line string) { fmt.Fprintln(os.Stderr, line) }, time.Now)
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return lines
	}
	bars := drawn()
	return func(what string, done, total int64) {
		if total == 0 {
			lines(what, done, total)
		} else {
			bars(what, done, total)
		}
	}
}

// drawn is a bar that goes when the work is done.
func drawn() func(what string, done, total int64) {
	var bar *progressbar.ProgressBar
	name, began := "", time.Time{}
	return func(what string, done, total int64) {
		if what != name {
			name, began, bar = what, time.Now(), nil
		}
		if bar == nil && (time.Since(began) < patience || done >= total) {
			return
		}
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what),
				progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
		}
		bar.Set64(done)
	}
}

// written says lines.
func written(say func(line string), now func() time.Time) func(what string, done, total int64) {
	name, next := "", time.Time{}
	return func(what string, done, total int64) {
		at := now()
		if what != name {
			name, next = what, at.Add(patience)
		}
		if at.Before(next) || total > 0 && done >= total {
			return
		}
		next = at.Add(pause)
		if total > 0 {
			say(fmt.Sprintf("%s: %d %%", what, 100*done/total))
		} else {
			say(fmt.Sprintf("%s: %d", what, done))
		}
	}
}
