// Command demo is `make demo`: it teaches a small language model a task from
// text that every Go user has, the Go standard library, in a few minutes on two
// cores and with no download.
//
//  1. It trains a tokenizer on the declarations below GOROOT and their documentation.
//  2. It pretrains a small Llama-type base on these (kept in the user's
//     cache, so a second run skips this).
//  3. It derives a task with real answers: the signature of a function is the
//     prompt, the first sentence of its documentation the completion.
//  4. It tunes a LoRA adapter on the task, with records held out.
//  5. It prints the held-out loss before and after, samples side by side, and
//     the memory planned and used.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/graftlm/graft/go/failure"
)

func main() {
	out := flag.String("out", "runs/demo", "the run directory")
	fresh := flag.Bool("fresh", false, "pretrain again, even if the base is in the cache")
	on := flag.String("device", "auto", "where the adapter is tuned and answers are computed, as in graft train --device; the base is pretrained on auto")
	methods := flag.Bool("compare", false, "train every method on the demo's task and print the table, instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx, *out, *on, *fresh, *methods); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(failure.Code(err))
	}
}

func demo(ctx context.Context, out, device string, fresh, methods bool) error {
	began := time.Now()
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	sources, err := readSources(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d files of the Go standard library, %.1f MB, %d documented functions\n", sources.files, float64(sources.bytes)/1e6, len(sources.tasks))
	base := filepath.Join(cache, "graft", "demo", sources.key())
	if fresh {
		if err := os.RemoveAll(base); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(base, "config.json")); err == nil {
		fmt.Printf("the base is in %s already; -fresh pretrains it again\n", base)
	} else if err := pretrain(ctx, sources, base); err != nil {
		return err
	}
	if methods {
		err = compare(ctx, sources, base, out)
	} else {
		err = tune(ctx, sources, base, out, device)
	}
	if err != nil {
		return err
	}
	fmt.Printf("done in %s\n", time.Since(began).Round(time.Second))
	return nil
}
