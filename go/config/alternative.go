package config

import (
	"os"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// HeadLoRA is the head with a LoRA that is trained beneath it, among the
// alternatives.
const HeadLoRA = "head+lora"

// Alternatives are the ways of fine-tuning that can stand beside each other:
// the values of method.type, where head has a frozen base, and HeadLoRA.
func Alternatives() []string { return append(Methods(), HeadLoRA) }

// Alternative is the one that a run is.
func (c *Config) Alternative() string {
	if c.Method.Type == "head" && c.Method.Beneath == "lora" {
		return HeadLoRA
	}
	return c.Method.Type
}

// LoadAs is Load for the same run as another alternative: the file's section
// method and its learning rate belong to the file's own method, so another one
// gets its defaults. What --set says holds for all.
func LoadAs(path, alternative string, sets []string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	return ParseAs(path, text, alternative, sets)
}

// ParseAs is LoadAs for a text.
func ParseAs(name string, text []byte, alternative string, sets []string) (*Config, error) {
	if !slices.Contains(Alternatives(), alternative) {
		return nil, failure.Config("%q is no method; want one of %v", alternative, Alternatives())
	}
	own, err := Parse(name, text, sets)
	if err != nil || own.Alternative() == alternative {
		return own, err
	}
	method := alternative
	if alternative == HeadLoRA {
		method = "head"
	}
	if method == "head" {
		sets = append(slices.Clip(sets), "method.beneath="+map[bool]string{true: "lora", false: "frozen"}[alternative == HeadLoRA])
	}
	if own.Method.Type == method {
		return Parse(name, text, sets)
	}
	// The name decides the type, against --set method.type too.
	sets = slices.DeleteFunc(slices.Clone(sets), func(s string) bool { return strings.HasPrefix(s, "method.type=") })
	root, err := source{name: name}.parse(text)
	if err != nil {
		return nil, failure.As(failure.ErrConfig, err)
	}
	if root == nil || root.kind == null {
		root = &node{kind: mapping, where: name}
	}
	root.drop("method")
	if optim := root.find("optim"); optim != nil {
		optim.drop("learning_rate")
	}
	kind := &node{kind: scalar, text: method, plain: true, where: name}
	root.put(entry{"method", name, &node{kind: mapping, where: name, keys: []entry{{"type", name, kind}}}})
	c, err := decode(root, sets)
	return c, failure.As(failure.ErrConfig, err)
}

func (n *node) drop(name string) {
	n.keys = slices.DeleteFunc(n.keys, func(e entry) bool { return e.name == name })
}
