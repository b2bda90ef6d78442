package lora

import (
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// trainModules makes the parameters of modules_to_save trainable. Where the
// head is the embedding, the two part, as in PEFT: one is trained, the other
// stays what it was.
func (c Config) trainModules(m *model.Model, adapted []*nn.Linear) error {
	if len(c.Modules) == 0 {
		return nil
	}
	for _, t := range c.Modules {
		if m.Decoder != nil && m.Config.Tied && (saved("lm_head", t) || saved("model.embed_tokens", t)) {
			m.Untie()
		}
	}
	for _, t := range c.Modules {
		hit := false
		for _, p := range m.Base() {
			if !saved(module(p.Name), t) {
				continue
			}
			hit, p.Trainable = true, true
			p.Group.NoDecay = method.NoDecay(p.Name)
			if len(p.Shape) == 1 && c.PlusRatio > 0 {
				p.Group.LRScale = c.PlusRatio
			}
			if slices.ContainsFunc(adapted, func(l *nn.Linear) bool { return l.W == p }) {
				return failure.Config("method.modules_to_save: %q has %s, which target_modules adapts too; take it out of one of them", t, module(p.Name))
			}
		}
		if !hit {
			return failure.Config("method.modules_to_save: %q matches no module; use embed_tokens, lm_head, norm, or the end of another name", t)
		}
	}
	return nil
}

// modules lists the parameters that modules_to_save trains.
func (c Config) modules(m *model.Model) (all []*nn.Param) {
	for _, p := range m.Base() {
		if slices.ContainsFunc(c.Modules, func(t string) bool { return saved(module(p.Name), t) }) {
			all = append(all, p)
		}
	}
	return all
}

// module is the path of the module that has a parameter.
func module(param string) string { return param[:strings.LastIndexByte(param, '.')] }

// saved reports whether modules_to_save with that name covers a module: PEFT
// takes every module whose path ends with it, and what lies below.
func saved(path, name string) bool {
	for at := path; at != ""; {
		if strings.HasSuffix(at, name) { // no dot before it: "norm" is every norm
			return true
		}
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			return false
		}
		at = at[:i]
	}
	return false
}
