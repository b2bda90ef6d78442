package graft

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
)

// Weighted is an adapter directory and the weight of its effect.
type Weighted struct {
	Dir    string
	Weight float64
}

// ParseWeighted reads DIR or DIR:WEIGHT.
func ParseWeighted(s string) (Weighted, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Weighted{s, 1}, nil
	}
	w, err := strconv.ParseFloat(s[i+1:], 64)
	if err != nil {
		return Weighted{s, 1}, nil // a path with a colon
	}
	if w-w != 0 || w > 1e6 || w < -1e6 || s[:i] == "" {
		return Weighted{}, failure.Usage("adapter %q: want DIR:WEIGHT with a weight from -1e6 to 1e6", s)
	}
	return Weighted{s[:i], w}, nil
}

// stack attaches several LoRA adapters beside each other: their updates add,
// each with its weight, which is exact. With live the weights stay numbers of
// the batch (nn.Batch.Gates), so that they may differ from row to row;
// otherwise they are part of the scales.
func stack(m *model.Model, all []Weighted, live bool) (map[string][]float32, error) {
	if len(all) == 1 && !live {
		_, values, err := Attach(m, all[0].Dir, all[0].Weight)
		return values, err
	}
	values := map[string][]float32{}
	var first lora.Config
	for i, a := range all {
		c, err := stackable(a.Dir)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = c
		} else if !sameBase(first.BaseModel, c.BaseModel) {
			return nil, failure.Data("%s is for the base %s and %s for %s; adapters of different bases do not add up", all[0].Dir, first.BaseModel, a.Dir, c.BaseModel)
		}
		how := method.Method(c)
		if !live {
			if c.DoRA {
				return nil, failure.Data("%s is a DoRA adapter, whose magnitudes belong to its own update; merge it alone, or choose it by row", a.Dir)
			}
			if how, err = c.Scaled(a.Weight); err != nil {
				return nil, err
			}
		}
		c = how.(lora.Config)
		c.As, c.Gate = strconv.Itoa(i+1), i
		if err := c.Attach(m, 0); err != nil {
			return nil, failure.As(failure.ErrData, fmt.Errorf("%s: %w", a.Dir, err))
		}
		v, err := c.Load(a.Dir, m)
		if err != nil {
			return nil, err
		}
		for name, x := range v {
			values[name] = x
		}
	}
	return values, nil
}

// stackable reads an adapter that can stand beside others.
func stackable(dir string) (lora.Config, error) {
	how, err := registry.Read(dir)
	if err != nil {
		return lora.Config{}, err
	}
	c, ok := how.(lora.Config)
	if !ok {
		return c, failure.Data("%s is a %s adapter; only LoRA adapters can be loaded together", dir, how.Name())
	}
	if len(c.Modules) > 0 {
		return c, failure.Data("%s trained whole modules (%s), which replace those of the base and cannot be weighed; load it alone, or merge it first", dir, strings.Join(c.Modules, ", "))
	}
	return c, nil
}

// sameBase compares base_model_name_or_path by the last part: the directories
// in which people keep a model differ.
func sameBase(a, b string) bool {
	return a == "" || b == "" || filepath.Base(filepath.Clean(a)) == filepath.Base(filepath.Clean(b))
}

// adapterSet are the adapters of a speaker by name.
type adapterSet struct {
	loaded []Weighted
	dora   []bool
}

func newAdapterSet(all []Weighted) (s adapterSet, err error) {
	for _, a := range all {
		c, err := stackable(a.Dir)
		if err != nil {
			return s, err
		}
		s.loaded, s.dora = append(s.loaded, a), append(s.dora, c.DoRA)
	}
	return s, nil
}

// mix gives the weights of a text like "A:0.7,B:0.3", where a name is that of
// a loaded directory, or the end of one alone; "none" is the base alone and ""
// what the adapters were loaded with.
func (s adapterSet) mix(text string) (generate.Mix, error) {
	mix := make(generate.Mix, len(s.loaded))
	switch text {
	case "":
		for i, a := range s.loaded {
			mix[i] = float32(a.Weight)
		}
	case "none":
	default:
		for _, part := range strings.Split(text, ",") {
			w, err := ParseWeighted(strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			i, err := s.find(w.Dir)
			if err != nil {
				return nil, err
			}
			if i < 0 {
				return nil, failure.Usage("adapter %q is not loaded; there are %s and none", w.Dir, s)
			}
			mix[i] += float32(w.Weight)
		}
	}
	return mix, s.check(mix)
}

// weights is mix where there may be nothing to weigh.
func (s adapterSet) weights(text string) (generate.Mix, error) {
	if len(s.loaded) == 0 {
		return nil, nil
	}
	return s.mix(text)
}

// find is the number of a loaded adapter by its directory or the end of it, -1
// if it is not loaded. The end of two directories names neither.
func (s adapterSet) find(name string) (int, error) {
	name, found := filepath.Clean(name), -1
	if i := slices.IndexFunc(s.loaded, func(a Weighted) bool { return filepath.Clean(a.Dir) == name }); i >= 0 {
		return i, nil
	}
	for i, a := range s.loaded {
		if !strings.HasSuffix(filepath.Clean(a.Dir), string(filepath.Separator)+name) {
			continue
		}
		if found >= 0 {
			return -1, failure.Data("adapter %q is %s and %s; name more of its path", name, s.loaded[found].Dir, a.Dir)
		}
		found = i
	}
	return found, nil
}

// with gives what has to be loaded for a text as mix reads it: what is there
// and the directories that are not. An adapter that cannot be weighed stands
// alone.
func (s adapterSet) with(loaded []Weighted, text string) ([]Weighted, error) {
	alone := len(s.loaded) < len(loaded) // of a kind that cannot be weighed
	switch {
	case text == "none" && alone:
		return nil, nil
	case text == "none" || text == "":
		return loaded, nil
	}
	all := slices.Clone(s.loaded)
	for _, part := range strings.Split(text, ",") {
		w, err := ParseWeighted(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		i, err := s.find(w.Dir)
		if err != nil {
			return nil, err
		}
		if i >= 0 || slices.ContainsFunc(all, func(a Weighted) bool { return a.Dir == w.Dir }) {
			continue
		}
		if how, err := registry.Read(w.Dir); err != nil {
			return nil, failure.Usage("adapter %q is not loaded (there are %s and none), and cannot be: %w", w.Dir, s, err)
		} else if _, ok := how.(lora.Config); !ok && w.Weight != 1 {
			return nil, failure.Usage("%s is a %s adapter, which has no weight but 1", w.Dir, how.Name())
		} else if !ok && !strings.Contains(text, ",") {
			return []Weighted{w}, nil
		}
		all = append(all, w)
	}
	return all, nil
}

// check: the magnitudes of DoRA replace those of the base, so it is there
// whole and alone, or not at all.
func (s adapterSet) check(mix generate.Mix) error {
	active := 0
	for _, w := range mix {
		if w != 0 {
			active++
		}
	}
	for i, w := range mix {
		if s.dora[i] && w != 0 && (w != 1 || active > 1) {
			return failure.Usage("%s is a DoRA adapter: it has weight 1 and no other beside it, or weight 0", s.loaded[i].Dir)
		}
	}
	return nil
}

// gate turns what the rows of micro-batches ask for into weights of each
// adapter for each token.
func (s adapterSet) gate(batches []data.MicroBatch, rows *data.Rows) error {
	if len(s.loaded) == 0 {
		return nil
	}
	mixes := map[string]generate.Mix{}
	for i := range rows.Len() {
		name := rows.Adapter(i)
		if _, known := mixes[name]; known {
			continue
		}
		mix, err := s.mix(name)
		if err != nil {
			source, line := rows.Place(i)
			return failure.Data("%s:%d: %v", source, line, err)
		}
		mixes[name] = mix
	}
	for i := range batches {
		b := &batches[i]
		for range s.loaded {
			b.Gates = append(b.Gates, make([]float32, len(b.IDs)))
		}
		for seq := range b.Cu[:len(b.Cu)-1] {
			name := ""
			if seq < len(b.Adapters) {
				name = b.Adapters[seq]
			}
			for a, weight := range mixes[name] {
				for t := b.Cu[seq]; t < b.Cu[seq+1]; t++ {
					b.Gates[a][t] = weight
				}
			}
		}
	}
	return nil
}

// beside sees that adapters can stand beside each other in an evaluation.
func (r *Run) beside() (err error) {
	if registry.Labelled(r.Config.Method.Type) {
		return failure.Usage("several adapters are evaluated on a run file whose method makes text; method.type is %s", r.Config.Method.Type)
	}
	if r.adapters, err = newAdapterSet(r.options.Adapters); err != nil {
		return err
	}
	r.Method, err = stackable(r.options.Adapters[0].Dir)
	return err
}

func (s adapterSet) String() string {
	var names []string
	for _, a := range s.loaded {
		names = append(names, a.Dir)
	}
	return strings.Join(names, ", ")
}
