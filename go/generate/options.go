package generate

import (
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Options is what a generator is opened with; all but Source, Adapter and
// Progress decide its memory.
type Options struct {
	// Model has its adapters attached already; they are attached once and
	// their values are exchanged with SetAdapter.
	Model *model.Model
	Types nn.Types
	// MaxTokens is the context: the tokens of a prompt and its answer, and the
	// virtual ones of the adapter. 0 stands for 2048, or what the model was made
	// for if that is less.
	MaxTokens int
	// Sequences are served at once; 0 stands for 1.
	Sequences int
	// Chunk is the most tokens of one forward pass; 0 stands for 512. It is
	// lowered to one of the sizes in use.
	Chunk int

	// Adapters is the number of adapters that are weighed by Params.Mixes, as
	// the Gate of each nn.Adapter counts them; 0: all have weight 1.
	Adapters int

	Source  model.Source         // the weights of the base
	Adapter map[string][]float32 // see SetAdapter
	// Progress of loading, in elements; may be nil.
	Progress func(done, total int64)
}

// Bytes is what a generator needs, by arena and by what it holds: the parts
// add up to the total of Plan.
type Bytes struct {
	Plan        bindings.Plan `json:"-"`
	Weights     int64         `json:"weights"`     // frozen base
	Parameters  int64         `json:"parameters"`  // of adapters
	Cache       int64         `json:"cache"`       // keys and values
	Activations int64         `json:"activations"` // at the peak, scratch included
	Staging     int64         `json:"staging"`     // what the host writes before a launch
	Workspace   int64         `json:"workspace"`   // packing buffers of the device
	Other       int64         `json:"other"`       // logits, drawn tokens, alignment
}

// Plan counts what Open will reserve on a device, by reading every program.
func Plan(o Options, p bindings.Profile) (Bytes, error) {
	o, err := o.complete()
	if err != nil {
		return Bytes{}, err
	}
	mem := bindings.NewMemory()
	l := place(o, p, mem)
	read := func(name string, program func(bindings.Ops)) error {
		d := count.New(mem)
		program(d)
		return failure.As(failure.ErrInternal, d.Err())
	}
	if err := read("clear", l.clear); err != nil {
		return Bytes{}, err
	}
	if err := read("prime", l.prime); err != nil {
		return Bytes{}, err
	}
	for n := 1; n <= o.Chunk; n = roundUp(n + 1) {
		if err := read("forward", l.forward(n)); err != nil {
			return Bytes{}, err
		}
	}
	if err := read("norms", l.norms); err != nil {
		return Bytes{}, err
	}
	if err := read("sample", l.sample(0, Params{Temperature: 1}.filters())); err != nil {
		return Bytes{}, err
	}
	b := Bytes{Plan: mem.Peak()}
	b.Plan[bindings.Workspace] = p.WorkspaceBytes
	if v := o.Model.Params.Values; v.Valid() {
		b.Parameters = v.Bytes()
	}
	for i := range l.cache.K {
		b.Cache += l.cache.K[i].Bytes() + l.cache.V[i].Bytes()
	}
	b.Weights, b.Activations = b.Plan[bindings.Frozen], b.Plan[bindings.Activations]
	b.Staging, b.Workspace = b.Plan[bindings.Staging], b.Plan[bindings.Workspace]
	b.Other = b.Plan[bindings.Trainable] - b.Parameters - b.Cache
	return b, nil
}

// complete fills in the defaults and checks.
func (o Options) complete() (Options, error) {
	c := o.Model.Config
	if o.MaxTokens == 0 {
		o.MaxTokens = min(2048, c.MaxPositions)
	}
	if o.Sequences == 0 {
		o.Sequences = 1
	}
	if o.Chunk == 0 {
		o.Chunk = 512
	}
	switch {
	case o.MaxTokens < 2 || o.MaxTokens > c.MaxPositions:
		return o, failure.Config("a context of %d tokens was asked for, want 2 to %d, the max_position_embeddings of the model", o.MaxTokens, c.MaxPositions)
	case o.MaxTokens < o.Model.Decoder.Virtual()+2:
		return o, failure.Config("the adapter has %d virtual tokens, which leaves no room for a prompt and an answer in a context of %d", o.Model.Decoder.Virtual(), o.MaxTokens)
	case o.Sequences < 1 || o.Sequences > math.MaxInt32/o.MaxTokens:
		return o, failure.Config("%d sequences of %d tokens were asked for, want 1 to %d", o.Sequences, o.MaxTokens, math.MaxInt32/o.MaxTokens)
	case o.Chunk < 1:
		return o, failure.Config("a chunk of %d tokens was asked for, want at least 1", o.Chunk)
	}
	if bytes := 16 * float64(o.Sequences*o.MaxTokens) * float64(c.KVHeads*c.HeadDim) * float64(c.Layers); bytes > 1<<50 {
		return o, failure.Memory("a cache of %d sequences of %d tokens takes up to %.0f TiB; ask for fewer", o.Sequences, o.MaxTokens, bytes/(1<<40))
	}
	o.Chunk = roundDown(min(o.Chunk, o.Sequences*(o.MaxTokens-o.Model.Decoder.Virtual())))
	return o, nil
}

// roundUp gives the size that n tokens are rounded up to: a power of two up to 64,
// then a multiple of 64. So filling costs little, and there are few programs.
func roundUp(n int) int {
	if n > 64 {
		return (n + 63) / 64 * 64
	}
	b := 1
	for b < n {
		b *= 2
	}
	return b
}

// roundDown gives the largest size that is not above n.
func roundDown(n int) int {
	if n >= 64 {
		return n / 64 * 64
	}
	b := 1
	for 2*b <= n {
		b *= 2
	}
	return b
}
