package generate

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// slot is a place of the cache: rows [i·context, (i+1)·context) of each layer.
type slot struct {
	cached []int32 // the tokens whose keys and values are there
	mix    Mix     // of adapters, that computed them
	seq    *sequence
}

// sequence is a prompt being answered.
type sequence struct {
	*Completion
	index   int
	pending []int32 // not yet read
	most    int     // of new tokens
	mix     Mix     // of adapters
}

// Generate answers prompts of token ids, any number of them. onToken is called
// with each new token and the number of its prompt, in order for each prompt;
// it ends that answer by returning false, and may be nil. When ctx ends, the
// answers so far come with its error.
func (g *Generator) Generate(ctx context.Context, prompts [][]int32, p Params, onToken func(prompt int, id int32) bool) ([]Completion, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	for i, ids := range prompts {
		if err := g.checkPrompt(i, ids); err != nil {
			return nil, err
		}
	}
	if err := p.checkMixes(len(prompts), g.Adapters); err != nil {
		return nil, err
	}
	if err := g.keepFilters(p.filters()); err != nil {
		return nil, err
	}
	if !p.Reuse {
		g.Forget()
	}
	defer func() {
		for i := range g.slots {
			g.slots[i].seq = nil
		}
	}()
	out := make([]Completion, len(prompts))
	for i, ids := range prompts {
		out[i] = Completion{Prompt: len(ids), Reason: Cancelled}
	}
	for next := 0; ; {
		for next < len(prompts) && g.free() {
			if err := g.begin(&sequence{Completion: &out[next], index: next, mix: p.mix(next, g.Adapters)}, prompts[next], p); err != nil {
				return out, err
			}
			next++
		}
		if !g.busy() {
			return out, nil
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if err := g.round(p, onToken); err != nil {
			g.Forget()
			return out, err
		}
	}
}

func (g *Generator) checkPrompt(i int, ids []int32) error {
	if len(ids) == 0 {
		return failure.Data("prompt %d is empty; give at least one token, for instance that of the beginning", i+1)
	}
	if len(ids) >= g.Context() {
		return failure.Data("prompt %d has %d tokens, which leaves no room for an answer in a context of %d; shorten it or open a longer context", i+1, len(ids), g.Context())
	}
	for at, id := range ids {
		if id < 0 || int(id) >= g.Model.Config.Vocab {
			return failure.Data("prompt %d: token %d is %d, want 0 to %d; is this the tokenizer of the model?", i+1, at, id, g.Model.Config.Vocab-1)
		}
	}
	return nil
}

func (g *Generator) free() bool {
	return slices.ContainsFunc(g.slots, func(s slot) bool { return s.seq == nil })
}

func (g *Generator) busy() bool {
	return slices.ContainsFunc(g.slots, func(s slot) bool { return s.seq != nil })
}

// begin takes the free place that knows most of the prompt, from the same mix
// of adapters. The last token is
// read in any case, for its logits.
func (g *Generator) begin(s *sequence, prompt []int32, p Params) error {
	best, known := -1, -1
	for i := range g.slots {
		n := 0
		if slices.Equal(g.slots[i].mix, s.mix) {
			n = commonPrefix(g.slots[i].cached, prompt[:len(prompt)-1])
		}
		if g.slots[i].seq == nil && n > known {
			best, known = i, n
		}
	}
	s.pending, s.Reused = prompt[known:], known
	s.most = g.Context() - len(prompt)
	if p.MaxNewTokens > 0 {
		s.most = min(s.most, p.MaxNewTokens)
	}
	g.slots[best] = slot{seq: s, cached: slices.Clone(prompt[:known]), mix: s.mix}
	if p.filters().penalty == 1 {
		return nil
	}
	row := make([]byte, g.seen.Cols())
	for _, id := range prompt {
		row[id] = 1
	}
	return g.dev.Upload(g.seen.RowRange(best, best+1), row)
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// round reads one chunk of tokens and draws for every sequence that has read
// all of its own.
func (g *Generator) round(p Params, onToken func(int, int32) bool) error {
	c := g.chunk()
	if err := g.stage(c, p); err != nil {
		return err
	}
	if err := g.launch(program{name: "forward", n: len(c.ids)}, g.forward(len(c.ids))); err != nil {
		return err
	}
	var drawn []int
	for _, piece := range c.pieces {
		s := &g.slots[piece.slot]
		s.cached = append(s.cached, s.seq.pending[:piece.n]...)
		s.seq.pending = s.seq.pending[piece.n:]
		if len(s.seq.pending) > 0 {
			continue
		}
		drawn = append(drawn, piece.slot)
		f := p.filters()
		if err := g.launch(program{"sample", piece.slot, f}, g.sample(piece.slot, f)); err != nil {
			return err
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	raw := make([]byte, g.ids.Bytes())
	if err := g.dev.Download(raw, g.ids); err != nil {
		return err
	}
	for _, i := range drawn {
		id := int32(binary.LittleEndian.Uint32(raw[4*i:]))
		if err := g.take(i, id, p, onToken); err != nil {
			return err
		}
	}
	return nil
}

// take is what follows from a drawn token.
func (g *Generator) take(i int, id int32, p Params, onToken func(int, int32) bool) error {
	s := g.slots[i].seq
	if id < 0 || int(id) >= g.Model.Config.Vocab {
		return failure.Internal("the device drew token %d of a vocabulary of %d", id, g.Model.Config.Vocab)
	}
	s.Reason = ""
	if slices.Contains(p.StopTokens, id) {
		s.Reason = Stop
	} else {
		s.Tokens = append(s.Tokens, id)
		goOn := onToken == nil || onToken(s.index, id)
		if !goOn {
			s.Reason = Halted
		} else if len(s.Tokens) >= s.most {
			s.Reason = Length
		}
	}
	if s.Reason != "" {
		g.slots[i].seq = nil
		if p.Done != nil {
			p.Done(s.index, *s.Completion)
		}
		return nil
	}
	s.Reason, s.pending = Cancelled, []int32{id}
	if p.filters().penalty == 1 {
		return nil
	}
	return g.dev.Upload(g.seen.RowRange(i, i+1).View(int(id), 1), []byte{1})
}
