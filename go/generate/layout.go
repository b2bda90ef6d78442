package generate

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/nn"
)

// layout gives everything that a generator holds its place, and has the
// programs that use it. The same calls plan and run.
type layout struct {
	Options
	profile bindings.Profile
	mem     *bindings.Memory
	cache   nn.Cache        // K and V [sequences·context, kv heads·dim] a layer; no rows or keys
	logits  bindings.Tensor // [sequences, V]: of the last token that each sequence read
	ids     bindings.Tensor // [sequences] i32: what was drawn from them
	staging *nn.Staging
	rows    bindings.Tensor // [chunk] i32: rows of the cache that new tokens go to
	keys    bindings.Tensor // [sequences+1, 2] i32
	seeds   bindings.Tensor // [sequences, 4] u32
	seen    bindings.Tensor // [sequences, V] u8: tokens of each sequence
	virtual int             // rows that each place of the cache begins with: those of a prompt or prefix
	first   *nn.Staging     // what is read to fill them; nil for none
	gates   bindings.Tensor // [adapters, chunk] float: weights for each token; not valid for none
}

// place lays a generator out. The cache is in the trainable arena, since
// programs write it.
func place(o Options, p bindings.Profile, m *bindings.Memory) *layout {
	o.Model.Params.Layout(m, o.Types, false)
	l := &layout{Options: o, profile: p, mem: m, virtual: o.Model.Decoder.Virtual()}
	for _, b := range o.Model.Decoder.Blocks {
		rows, cols := o.Sequences*o.MaxTokens, b.Attention.KVHeads*b.Attention.Dim
		l.cache.K = append(l.cache.K, m.Alloc(bindings.Trainable, o.Types.Compute, rows, cols))
		l.cache.V = append(l.cache.V, m.Alloc(bindings.Trainable, o.Types.Compute, rows, cols))
	}
	vocab := o.Model.Config.Vocab
	l.logits = m.Alloc(bindings.Trainable, o.Types.Param, o.Sequences, vocab)
	l.ids = m.Alloc(bindings.Trainable, bindings.I32, o.Sequences)
	l.staging = nn.NewStaging(m, o.Types, []nn.Bucket{l.bucket(o.Chunk)}, o.Model.Config.Rope.Dim/2, nn.PerSequence{})
	if l.virtual > 0 {
		l.first = nn.NewStaging(m, o.Types, []nn.Bucket{l.primed()}, o.Model.Config.Rope.Dim/2, o.Model.Row)
	}
	l.rows = m.Alloc(bindings.Staging, bindings.I32, max(o.Chunk, l.virtual))
	l.keys = m.Alloc(bindings.Staging, bindings.I32, o.Sequences+1, 2)
	l.seeds = m.Alloc(bindings.Staging, bindings.U32, o.Sequences, 4)
	l.seen = m.Alloc(bindings.Staging, bindings.U8, o.Sequences, vocab)
	if o.Adapters > 0 {
		l.gates = m.Alloc(bindings.Staging, o.Types.Param, o.Adapters, o.Chunk)
	}
	nn.PlaceNorms(m, o.Types, o.Model.Linears())
	return l
}

// bucket is the shape of a forward pass over n tokens: a row of logits for
// each sequence, and one sequence more for what fills it.
func (l *layout) bucket(n int) nn.Bucket {
	return nn.Bucket{Tokens: n, Sequences: l.Sequences + 1, Targets: l.Sequences}
}

func (l *layout) reading(ops bindings.Ops) nn.Reading {
	return nn.Reading{Ops: ops, Memory: l.mem, Profile: l.profile, Types: l.Types}
}

// primed is the shape of the pass over the virtual tokens.
func (l *layout) primed() nn.Bucket { return nn.Bucket{Tokens: l.virtual, Sequences: 1} }

// prime reads the virtual tokens into the cache. The host says which rows of it
// they go to; without a prompt or prefix there is nothing to read.
func (l *layout) prime(ops bindings.Ops) {
	if l.first == nil {
		return
	}
	in := l.first.Batch(l.primed())
	cache := l.cache
	cache.Rows, cache.Keys = l.rows.View(0, l.virtual), l.keys.RowRange(0, 1)
	in.Cache = &cache
	l.Model.Decoder.Prime(l.reading(ops), in)
}

// clear empties the cache, so that no row of it ever holds what is no number.
func (l *layout) clear(ops bindings.Ops) {
	for i := range l.cache.K {
		ops.Zero(l.cache.K[i])
		ops.Zero(l.cache.V[i])
	}
}

// norms computes those of DoRA, which change with the adapters alone.
func (l *layout) norms(ops bindings.Ops) { nn.WeightNorms(l.reading(ops), l.Model.Linears()) }

// forward reads n tokens into the cache and leaves the logits.
func (l *layout) forward(n int) func(bindings.Ops) {
	return func(ops bindings.Ops) {
		in := l.staging.Batch(l.bucket(n))
		cache := l.cache
		cache.Rows, cache.Keys = l.rows.View(0, n), l.keys
		in.Cache = &cache
		for i := range l.Adapters {
			in.Gates = append(in.Gates, l.gates.View(i*l.Chunk, n))
		}
		l.Model.Decoder.Logits(l.reading(ops), l.logits, in.Rows, in)
	}
}

// sample draws the next token of the sequence in one place. Each place is
// drawn by itself, so that its numbers do not depend on what else is served.
func (l *layout) sample(slot int, f filters) func(bindings.Ops) {
	return func(ops bindings.Ops) {
		r := l.reading(ops)
		defer r.Release(r.Mark())
		args := bindings.SampleArgs{
			Logits: l.logits.RowRange(slot, slot+1), Seed: l.seeds.RowRange(slot, slot+1).Reshape(4),
			Temperature: f.temperature, TopK: f.topK, TopP: f.topP, MinP: f.minP, RepetitionPenalty: f.penalty,
			Scratch: r.Scratch(l.profile.SampleScratch(1, l.logits.Cols())),
		}
		if f.penalty != 1 {
			args.Seen = l.seen.RowRange(slot, slot+1)
		}
		r.Sample(l.ids.View(slot, 1), args)
	}
}
