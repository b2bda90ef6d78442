package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// Load reads a run file and then sets, each "key=value" as --set takes them.
// A missing file is failure.NoInput; everything else wrong is failure.Config.
func Load(path string, sets []string) (*Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.NoInput("%s: no such run file", path)
	}
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	defer f.Close()
	if stat, err := f.Stat(); err == nil && stat.IsDir() {
		return nil, failure.Config("%s: a directory, not a run file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	return Parse(path, text, sets)
}

// Parse is Load for a text; name stands for the file in messages. Of several
// values for one key, the last --set wins, then the file, then the default.
func Parse(name string, text []byte, sets []string) (*Config, error) {
	c, err := parse(source{name: name}, text, sets)
	return c, failure.As(failure.ErrConfig, err)
}

func parse(s source, text []byte, sets []string) (*Config, error) {
	root, err := s.parse(text)
	if err != nil {
		return nil, err
	}
	if root == nil || root.kind == null {
		root = &node{kind: mapping, where: s.name}
	}
	return decode(root, sets)
}

// decode turns the tree of a file into a run.
func decode(root *node, sets []string) (*Config, error) {
	for _, set := range sets {
		if err := apply(root, set); err != nil {
			return nil, err
		}
	}
	c := &Config{origins: map[string]string{}}
	d := &decoder{origins: c.origins}
	d.foresee(root)
	if err := d.section(reflect.ValueOf(c).Elem(), root, ""); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// apply puts one --set into the tree of the file.
func apply(root *node, set string) error {
	path, text, ok := strings.Cut(set, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return fmt.Errorf("--set %s: want key=value, such as optim.learning_rate=1e-4", set)
	}
	var target *field
	walk(reflect.TypeFor[Config](), "", func(p string, f field) {
		if p == path {
			target = &f
		}
	})
	if target == nil {
		return fmt.Errorf("--set %s: %w", set, unknownPath(path))
	}
	s := source{name: "--set " + path, flag: true}
	value, err := s.leaf(*target, text)
	if err != nil {
		return err
	}
	at := root
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		if at.kind != mapping {
			break
		}
		next := at.find(name)
		if next == nil || next.kind == null {
			next = &node{kind: mapping, where: s.name}
			at.put(entry{name, s.name, next})
		}
		at = next
	}
	if at.kind == mapping { // otherwise the file is wrong there, and says so
		at.put(entry{names[len(names)-1], s.name, value})
	}
	return nil
}

// unknownPath explains a --set of something that is no key.
func unknownPath(path string) error {
	t, prefix := reflect.TypeFor[Config](), ""
	names := strings.Split(path, ".")
	for _, name := range names {
		i := -1
		for j, f := range fields(t) {
			if f.name == name && f.section() {
				i = j
			}
		}
		if i < 0 {
			if strings.HasPrefix(path, prefix+name+".") || !hasField(t, name) {
				return unknown(t, prefix, path[len(prefix):])
			}
			break
		}
		t, prefix = fields(t)[i].Type, prefix+name+"."
	}
	return fmt.Errorf("%s is a section; %s", whole(prefix), known(t, prefix))
}

func hasField(t reflect.Type, name string) bool {
	for _, f := range fields(t) {
		if f.name == name {
			return true
		}
	}
	return false
}

// put adds or replaces a key.
func (n *node) put(e entry) {
	for i := range n.keys {
		if n.keys[i].name == e.name {
			n.keys[i] = e
			return
		}
	}
	n.keys = append(n.keys, e)
}
