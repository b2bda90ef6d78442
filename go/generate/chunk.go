package generate

import (
	"slices"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/model"
)

// chunk is the tokens of one forward pass.
type chunk struct {
	pieces []piece
	ids    []int32 // pieces one after another, then what fills the bucket
	filler []int32 // rows of the cache that the filling goes to
}

// piece is the next n tokens of the sequence in one place.
type piece struct{ slot, n int }

// chunk collects what sequences have to read, as much as one pass takes. Where
// the cache has too few free rows for the filling, less is read.
func (g *Generator) chunk() chunk {
	waiting := 0
	for _, s := range g.slots {
		if s.seq != nil {
			waiting += len(s.seq.pending)
		}
	}
	n := min(waiting, g.Chunk)
	rows := g.freeRows(roundUp(n)-n, g.fill(n))
	if len(rows) < roundUp(n)-n {
		n, rows = roundDown(n), nil
	}
	c := chunk{pieces: g.fill(n), filler: rows}
	for _, p := range c.pieces {
		c.ids = append(c.ids, g.slots[p.slot].seq.pending[:p.n]...)
	}
	c.ids = append(c.ids, make([]int32, len(rows))...)
	return c
}

// fill takes n waiting tokens, the sequences in order.
func (g *Generator) fill(n int) []piece {
	var all []piece
	for i, s := range g.slots {
		if s.seq == nil || n == 0 {
			continue
		}
		k := min(n, len(s.seq.pending))
		all = append(all, piece{i, k})
		n -= k
	}
	return all
}

// freeRows finds up to n rows of the cache that hold nothing, and to which the
// pieces write nothing.
func (g *Generator) freeRows(n int, pieces []piece) []int32 {
	used := make([]int, len(g.slots))
	for i, s := range g.slots {
		used[i] = g.virtual + len(s.cached)
	}
	for _, p := range pieces {
		used[p.slot] += p.n
	}
	var rows []int32
	for i := range g.slots {
		for at := used[i]; at < g.MaxTokens && len(rows) < n; at++ {
			rows = append(rows, int32(i*g.MaxTokens+at))
		}
	}
	return rows
}

// fillVirtual reads the virtual tokens into the rows that each place of the
// cache begins with. They stay there until the adapter is exchanged.
func (g *Generator) fillVirtual() error {
	if g.virtual == 0 {
		return nil
	}
	b := g.primed()
	m := data.FlattenPrompted(make([]data.Row, 1), g.virtual)
	parts := [][]int32{m.IDs, m.Positions, m.Cu}
	if g.Model.Decoder.Prompt.Len() > 0 {
		parts = append(parts, m.Virtual, m.Positions)
	}
	if err := g.dev.Upload(g.first.Ints(b), bindings.EncodeInts(slices.Concat(parts...))); err != nil {
		return err
	}
	rows := make([]int32, g.virtual)
	for slot := range g.slots {
		for i := range rows {
			rows[i] = int32(slot*g.MaxTokens + i)
		}
		if err := g.dev.Upload(g.rows.View(0, len(rows)), bindings.EncodeInts(rows)); err != nil {
			return err
		}
		if err := g.dev.Upload(g.keys.RowRange(0, 1), bindings.EncodeInts([]int32{rows[0], int32(g.virtual)})); err != nil {
			return err
		}
		if err := g.launch(program{name: "prime"}, g.prime); err != nil {
			return err
		}
	}
	return nil
}

// stage uploads a chunk: ids, positions, boundaries and the rows of the logits
// in one range, then the places in the cache and the seeds.
func (g *Generator) stage(c chunk, p Params) error {
	positions, rows := make([]int32, 0, len(c.ids)), make([]int32, 0, len(c.ids))
	cu, last := []int32{0}, make([]int32, g.Sequences)
	keys := make([]int32, 0, g.keys.Len())
	seeds := make([]uint32, g.seeds.Len())
	for _, piece := range c.pieces {
		s, first := g.slots[piece.slot], piece.slot*g.MaxTokens
		at := g.virtual + len(s.cached)
		for i := range piece.n {
			positions = append(positions, int32(at+i))
			rows = append(rows, int32(first+at+i))
		}
		cu = append(cu, int32(len(positions)))
		keys = append(keys, int32(first), int32(at+piece.n))
		last[piece.slot] = int32(len(positions) - 1)
		seed := p.seed(p.Stream+s.seq.index, len(s.seq.Tokens))
		copy(seeds[4*piece.slot:], seed[:])
	}
	for range g.Sequences - len(c.pieces) {
		cu, keys = append(cu, int32(len(positions))), append(keys, 0, 0)
	}
	for i, row := range c.filler {
		positions, rows = append(positions, int32(i)), append(rows, row)
	}
	cu, keys = append(cu, int32(len(positions))), append(keys, 0, int32(len(c.filler)))

	if err := g.stageGates(c); err != nil {
		return err
	}
	var ints []byte
	for _, part := range [][]int32{c.ids, positions, cu, last, make([]int32, g.Sequences)} {
		ints = append(ints, bindings.EncodeInts(part)...)
	}
	for _, u := range []struct {
		to  bindings.Tensor
		raw []byte
	}{
		{g.staging.Ints(g.bucket(len(c.ids))), ints},
		{g.rows.View(0, len(rows)), bindings.EncodeInts(rows)},
		{g.keys, bindings.EncodeInts(keys)},
		{g.seeds, bindings.EncodeInts(seeds)},
	} {
		if err := g.dev.Upload(u.to, u.raw); err != nil {
			return err
		}
	}
	return nil
}

// stageGates uploads the weight of each adapter for each token; what fills the
// bucket has none.
func (g *Generator) stageGates(c chunk) error {
	for i := range g.Adapters {
		weights := make([]float32, 0, len(c.ids))
		for _, p := range c.pieces {
			for range p.n {
				weights = append(weights, g.slots[p.slot].seq.mix[i])
			}
		}
		weights = append(weights, make([]float32, len(c.filler))...)
		if err := model.Upload(g.dev, g.gates.View(i*g.Chunk, len(weights)), weights); err != nil {
			return err
		}
	}
	return nil
}
