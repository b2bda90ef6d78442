package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/safetensors"
)

// weighted reads the values of --adapter.
func weighted(texts []string) (all []graft.Weighted, err error) {
	for _, t := range texts {
		w, err := graft.ParseWeighted(t)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "say what a model, an adapter, a checkpoint or a safetensors file is", ArgsUsage: "PATH",
		Description: "graft inspect ./SmolLM2-135M\ngraft inspect runs/x/adapter --json",
		Flags:       []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c, "a path")
			if err != nil {
				return err
			}
			what, err := inspect(path)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(what)
			}
			what.print(os.Stdout)
			return nil
		},
	}
}

// facts are names and values in an order.
type facts struct {
	order  []string
	values map[string]any
}

func (f *facts) add(name string, v any) {
	if f.values == nil {
		f.values = map[string]any{}
	}
	f.order = append(f.order, name)
	f.values[name] = v
}

func (f facts) print(to io.Writer) {
	width := 12
	for _, k := range f.order {
		width = max(width, len(k))
	}
	for _, k := range f.order {
		fmt.Fprintf(to, "%-*s %v\n", width, k, f.values[k])
	}
}

func (f facts) MarshalJSON() ([]byte, error) { return json.Marshal(f.values) }

func inspect(path string) (facts, error) {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(path, name))
		return err == nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return facts{}, failure.NoInput("%s does not exist", path)
	case err != nil:
		return facts{}, failure.As(failure.ErrIO, err)
	case !info.IsDir():
		return inspectFile(path)
	case registry.Marked(path):
		return inspectAdapter(path)
	case has("MANIFEST.json"):
		return inspectCheckpoint(path)
	}
	return inspectModel(path)
}

func inspectFile(path string) (f facts, err error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	f.add("kind", "safetensors file")
	var list tensorList
	for _, t := range file.Tensors() {
		list = append(list, tensorFact{t.Name, t.DType, append([]int{}, t.Shape...)})
	}
	f.add("tensors", len(list))
	f.add("list", list)
	return f, nil
}

// tensorList is a list for scripts, and lines for people.
type tensorList []tensorFact

type tensorFact struct {
	Name  string            `json:"name"`
	DType safetensors.DType `json:"dtype"`
	Shape []int             `json:"shape"`
}

func (l tensorList) String() string {
	var lines []string
	for _, t := range l {
		lines = append(lines, fmt.Sprintf("%s %s %v", t.Name, t.DType, t.Shape))
	}
	return strings.Join(lines, "\n             ")
}

func inspectAdapter(path string) (f facts, err error) {
	m, err := registry.Read(path)
	if err != nil {
		return f, err
	}
	f.add("kind", m.Name()+" adapter")
	for _, fact := range m.Facts() {
		f.add(fact.Name, fact.Value)
	}
	return f, f.addWeights(path)
}

// addWeights adds the sizes of an adapter's file.
func (f *facts) addWeights(dir string) error {
	file, err := safetensors.Open(filepath.Join(dir, method.WeightsFile))
	if err != nil {
		return err
	}
	defer file.Close()
	parameters, bytes := int64(0), int64(0)
	for _, t := range file.Tensors() {
		parameters, bytes = parameters+t.Elements(), bytes+t.Bytes()
	}
	f.add("tensors", len(file.Tensors()))
	f.add("parameters", parameters)
	f.add("bytes", bytes)
	return nil
}

func inspectCheckpoint(path string) (f facts, err error) {
	s, err := checkpoint.Read(path)
	if err != nil {
		return f, err
	}
	f.add("kind", "checkpoint")
	f.add("step", s.Step)
	f.add("final", s.Final)
	f.add("parameters", len(s.Values))
	f.add("skipped", len(s.Skipped))
	for k, v := range s.Identity {
		f.add(k, v)
	}
	return f, nil
}

func inspectModel(path string) (f facts, err error) {
	b, err := graft.OpenBase(path, "auto")
	if err != nil {
		return f, err
	}
	defer b.Close()
	c := b.Config
	f.add("kind", "model")
	f.add("family", c.Family)
	n, stored, err := b.Weights()
	if err != nil {
		return f, err
	}
	f.add("parameters", n)
	if stored != "" {
		f.add("quantised", stored)
	}
	f.add("layers", c.Layers)
	f.add("hidden", c.Hidden)
	f.add("heads", fmt.Sprintf("%d, %d for keys and values, of %d", c.Heads, c.KVHeads, c.HeadDim))
	f.add("vocab", c.Vocab)
	f.add("context", c.MaxPositions)
	f.add("rope", c.Rope.Type)
	f.add("tied", c.Tied)
	f.add("computes in", b.Types.Compute.String())
	if b.Tokenizer != nil {
		f.add("tokenizer", fmt.Sprintf("%d tokens", b.Tokenizer.Size()))
	}
	if t, err := b.Template("tokenizer"); err == nil {
		f.add("template", fmt.Sprintf("%s, marks the assistant: %v", filepath.Base(t.Name()), t.HasGeneration()))
	}
	return f, nil
}
