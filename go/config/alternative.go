package config

import (
	"os"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// LoadAs is Load for the same run with another method: the file's section
// method and its learning rate belong to the file's own method, so another one
// gets its defaults. What --set says holds for all.
func LoadAs(path, method string, sets []string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	return ParseAs(path, text, method, sets)
}

// ParseAs is LoadAs for a text.
func ParseAs(name string, text []byte, method string, sets []string) (*Config, error) {
	own, err := Parse(name, text, sets)
	if err != nil || own.Method.Type == method {
		return own, err
	}
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
