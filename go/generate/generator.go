package generate

import (
	"context"
	"errors"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
)

// Generator holds a model on a device. It is used by one goroutine at a time.
type Generator struct {
	*layout
	dev      bindings.Device
	planned  Bytes
	programs plan.Programs[program]
	slots    []slot
}

// program tells the programs of a generator apart; n is the number of tokens
// of a forward pass or the place that is drawn for.
type program struct {
	name    string
	n       int
	filters filters
}

// Open reserves what Plan counts and loads the weights. Errors are of the
// kinds failure.Config (options), failure.Data (weights) and those of the
// device.
func Open(ctx context.Context, b bindings.Backend, o Options) (*Generator, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	if o.Source == nil {
		return nil, failure.NoInput("there are no weights to load: Options.Source is not set")
	}
	planned, err := Plan(o, b.Profile())
	if err != nil {
		return nil, err
	}
	dev, err := plan.Open(b, planned.Plan)
	if err != nil {
		return nil, err
	}
	g := &Generator{
		layout: place(o, b.Profile(), bindings.NewBoundedMemory(planned.Plan)),
		dev:    dev, planned: planned, programs: plan.Programs[program]{}, slots: make([]slot, o.Sequences),
	}
	if err := g.load(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Generator) load(ctx context.Context) error {
	if err := g.Model.Load(ctx, g.dev, g.planned.Plan, g.Source, g.Progress); err != nil {
		return err
	}
	for _, s := range []bindings.Tensor{g.seen, g.seeds, g.rows, g.keys, g.gates} {
		if !s.Valid() {
			continue
		}
		if err := g.dev.Upload(s, make([]byte, s.Bytes())); err != nil {
			return err
		}
	}
	freqs := []bindings.Tensor{g.staging.Batch(g.bucket(1)).Freq}
	if g.first != nil {
		freqs = append(freqs, g.first.Batch(g.primed()).Freq)
	}
	for _, freq := range freqs {
		if err := model.Upload(g.dev, freq, g.Model.Config.Rope.Frequencies(g.MaxTokens)); err != nil {
			return err
		}
	}
	if err := g.launch(program{name: "clear"}, g.clear); err != nil {
		return err
	}
	return g.SetAdapter(g.Adapter)
}

// SetAdapter gives the adapters other values, by the names of their
// parameters, and forgets what was cached. They have the shapes that the model
// was opened with; an adapter of another shape asks for another Open. nil gives
// the adapters their first values, which for LoRA is the base alone.
func (g *Generator) SetAdapter(values map[string][]float32) error {
	adapters := g.adapters()
	known := map[string]bool{}
	for _, p := range adapters {
		known[p.Name] = true
		if v, ok := values[p.Name]; values != nil && !ok {
			return failure.Data("the adapter has no %s, which the model was opened with", p.Name)
		} else if ok && len(v) != p.Len() {
			return failure.Data("the adapter's %s has %d elements, the model was opened with %v (%d); open it anew for an adapter of another shape", p.Name, len(v), p.Shape, p.Len())
		}
	}
	for name := range values {
		if !known[name] {
			return failure.Data("the adapter has %s, for which the model was opened with no place", name)
		}
	}
	g.Forget()
	for _, p := range adapters {
		v := values[p.Name]
		if values == nil && p.Init == nil {
			return failure.Config("%s is a weight of the base that the adapter replaced; open the model without the adapter", p.Name)
		}
		if values == nil {
			v = make([]float32, p.Len())
			if p.Init != nil {
				p.Init(v)
			}
		}
		if err := model.Upload(g.dev, p.Value, v); err != nil {
			return err
		}
	}
	if nn.HasMagnitudes(g.Model.Linears()) {
		if err := g.launch(program{name: "norms"}, g.norms); err != nil {
			return err
		}
	}
	return g.fillVirtual()
}

// adapters are the parameters that the base does not have, and those of the
// base that an adapter trained whole.
func (g *Generator) adapters() []*nn.Param {
	base := map[*nn.Param]bool{}
	for _, p := range g.Model.Base() {
		base[p] = true
	}
	var all []*nn.Param
	for _, p := range g.Model.Params.All {
		if !base[p] || p.Trainable {
			all = append(all, p)
		}
	}
	return all
}

// Forget empties the cache for Params.Reuse.
func (g *Generator) Forget() {
	for i := range g.slots {
		g.slots[i].cached = nil
	}
}

// Context is the most tokens of a prompt and its answer: what virtual tokens
// leave of MaxTokens.
func (g *Generator) Context() int { return g.MaxTokens - g.virtual }

// Planned are the bytes reserved; Used those that the programs run so far
// came to.
func (g *Generator) Planned() Bytes { return g.planned }
func (g *Generator) Used() bindings.Plan {
	u := g.mem.Peak()
	u[bindings.Workspace] = g.planned.Plan[bindings.Workspace]
	return u
}

func (g *Generator) launch(key program, run func(bindings.Ops)) error {
	return g.programs.Launch(g.dev, key, key.name, run)
}

// keepFilters closes the sampling programs of other filters, so that their
// number stays that of the places.
func (g *Generator) keepFilters(f filters) error {
	var all []error
	for key, p := range g.programs {
		if key.name == "sample" && key.filters != f {
			all = append(all, p.Close())
			delete(g.programs, key)
		}
	}
	return errors.Join(all...)
}

// Close releases the programs and the device.
func (g *Generator) Close() error {
	return errors.Join(g.programs.Close(), g.dev.Close())
}
