// Package registry lists the methods of fine-tuning. It is the one place that
// names them: a method is a package below go/method and a line here.
package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/method/prefix"
	"github.com/graftlm/graft/go/method/prompt"
)

var kinds = []method.Kind{
	full.Kind,
	lora.Kind,
	prompt.Kind,
	prompt.PTuning,
	prefix.Kind,
	head.Kind,
}

// Names lists the methods.
func Names() (all []string) {
	for _, k := range kinds {
		all = append(all, k.Name)
	}
	return all
}

// New makes the method that the settings of a run ask for.
func New(c config.Method, b method.Base) (method.Method, error) {
	i := slices.IndexFunc(kinds, func(k method.Kind) bool { return k.Name == c.Kind() })
	if i < 0 {
		return nil, failure.Config("method.type: %q is not one of %s", c.Type, strings.Join(Names(), ", "))
	}
	return kinds[i].New(c, b)
}

// Marked reports whether a directory has a file that the adapter of some method
// is told by.
func Marked(dir string) bool {
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	return there(method.ConfigFile) || slices.ContainsFunc(kinds, func(k method.Kind) bool { return k.File != "" && there(k.File) })
}

// Read gives the method of an adapter directory, with its settings.
func Read(dir string) (method.Method, error) {
	for _, k := range kinds {
		if k.File == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, k.File)); err == nil {
			return k.Read(dir)
		}
	}
	peft, err := method.PeftType(dir)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, k := range kinds {
		if k.PEFT != "" && k.PEFT == peft {
			return k.Read(dir)
		} else if k.PEFT != "" {
			known = append(known, fmt.Sprintf("%q", k.PEFT))
		}
	}
	return nil, failure.Data("%s/%s: peft_type is %q, want %s", dir, method.ConfigFile, peft, strings.Join(known, " or "))
}

// Labelled reports whether a value of method.type is trained on texts with
// labels.
func Labelled(name string) bool {
	i := slices.IndexFunc(kinds, func(k method.Kind) bool { return k.Name == name })
	return i >= 0 && kinds[i].Labelled
}
