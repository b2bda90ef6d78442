package lora

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// choose lists the layers to adapt, by PEFT's rules: a name matches a module
// path that equals it or ends with "." and it; an expression must match the
// whole path.
func (c Config) choose(m *model.Model) ([]*nn.Linear, error) {
	var expression *regexp2.Regexp
	if c.Regex {
		if len(c.Targets) != 1 {
			return nil, failure.Config("method.target_modules: want one regular expression, got %d", len(c.Targets))
		}
		var err error
		// Python's re has look-around, which Go's regexp has not.
		if expression, err = regexp2.Compile(`\A(?:`+c.Targets[0]+`)\z`, regexp2.None); err != nil {
			return nil, failure.Config("method.target_modules: %q is no regular expression: %v", c.Targets[0], err)
		}
		expression.MatchTimeout = matchTimeout
	}
	all := c.all()
	used := make([]bool, len(c.Targets))
	var chosen []*nn.Linear
	for _, l := range m.Linears() {
		hit := all
		if expression != nil {
			ok, err := expression.MatchString(l.Name)
			if err != nil {
				return nil, failure.Config("method.target_modules: %q takes too long on %s", c.Targets[0], l.Name)
			}
			hit = ok
		} else if !all {
			for i, t := range c.Targets {
				if matches(l.Name, t) {
					hit, used[i] = true, true
				}
			}
		}
		if hit && !slices.ContainsFunc(c.Exclude, func(t string) bool { return matches(l.Name, t) }) && c.inLayers(l.Name) {
			chosen = append(chosen, l)
		}
	}
	if !all && expression == nil {
		for i, t := range c.Targets {
			if !used[i] {
				return nil, failure.Config("method.target_modules: %q matches no layer; the model has %s", t, names(m))
			}
		}
	}
	if len(chosen) == 0 {
		return nil, failure.Config("method.target_modules: no layer is left to adapt; the model has %s in %d layers", names(m), m.Config.Layers)
	}
	return chosen, nil
}

// all reports whether every linear layer is meant.
func (c Config) all() bool {
	return !c.Regex && len(c.Targets) == 1 && strings.EqualFold(c.Targets[0], "all-linear")
}

func matches(path, name string) bool { return path == name || strings.HasSuffix(path, "."+name) }

var layerNumber = regexp.MustCompile(`\.(?:layers|layer)\.(\d+)\.`)

func (c Config) inLayers(path string) bool {
	if len(c.Layers) == 0 {
		return true
	}
	found := layerNumber.FindStringSubmatch(path)
	if found == nil {
		return false
	}
	n, err := strconv.Atoi(found[1])
	return err == nil && slices.Contains(c.Layers, n)
}

// names lists the kinds of linear layers that a model has.
func names(m *model.Model) string {
	var all []string
	for _, l := range m.Linears() {
		if short := l.Name[strings.LastIndexByte(l.Name, '.')+1:]; !slices.Contains(all, short) {
			all = append(all, short)
		}
	}
	return strings.Join(all, ", ")
}

// Rank gives r and the scale of a layer after the patterns.
func (c Config) Rank(path string) (int, float64) {
	r, alpha := c.R, c.Alpha
	if v, ok := pattern(c.RankPattern, path); ok {
		r = v
	}
	if v, ok := pattern(c.AlphaPattern, path); ok {
		alpha = v
	}
	if c.RSLoRA {
		return r, alpha / math.Sqrt(float64(r))
	}
	return r, alpha / float64(r)
}

// pattern looks a path up as PEFT does: a key is an expression that has to
// match the end of the path after a dot, or all of it. The keys are tried in
// sorted order, for a map of Go has none.
func pattern[T any](of map[string]T, path string) (v T, ok bool) {
	keys := make([]string, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		e, err := regexp2.Compile(`\A(?:.*\.)?(?:`+k+`)\z`, regexp2.None)
		if err != nil {
			continue
		}
		e.MatchTimeout = matchTimeout
		if hit, err := e.MatchString(path); err == nil && hit {
			return of[k], true
		}
	}
	return v, false
}
