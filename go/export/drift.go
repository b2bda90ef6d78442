package export

import (
	"context"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
)

// Drift is how far a merged model is from the base with its adapter beside it:
// the distributions of the next token, over all tokens of some samples. Both
// are computed in float32, so that nothing but the weights differs.
type Drift struct {
	Samples int     `json:"samples"`
	Tokens  int     `json:"tokens"`
	KL      float64 `json:"kl"`        // mean of KL(adapted ‖ merged), in nats a token
	MaxKL   float64 `json:"max_kl"`    // of one token
	Logit   float64 `json:"max_logit"` // largest difference of a logit
	Agree   float64 `json:"agree"`     // share of tokens whose likeliest successor is the same
	// Effect is the mean KL(adapted ‖ base): what the adapter does at all. A
	// drift that is not much less has lost it.
	Effect float64 `json:"effect"`
}

// Speaker is a model whose logits are compared.
type Speaker struct {
	Model  *model.Model // adapters attached, storage decided
	Source model.Source
	Values map[string][]float32 // of adapters; nil for their first ones, the base alone
}

// Compare measures the drift from adapted to merged on samples of tokens, all of
// one length. base is adapted without its adapter. tell is told of each sample and
// model; it may be nil.
func Compare(ctx context.Context, b bindings.Backend, adapted, base, merged Speaker, samples [][]int32, tell func(done, total int64)) (d Drift, err error) {
	var logits [3][][]float32
	done := int64(0)
	for i, s := range []Speaker{adapted, base, merged} {
		if logits[i], err = s.logits(ctx, b, samples, func() {
			if done++; tell != nil {
				tell(done, int64(len(logits)*len(samples)))
			}
		}); err != nil {
			return d, err
		}
	}
	vocab := adapted.Model.Config.Vocab
	same := 0
	for n := range samples {
		d.Samples++
		for at := 0; at < len(logits[0][n]); at += vocab {
			p, without, q := logits[0][n][at:at+vocab], logits[1][n][at:at+vocab], logits[2][n][at:at+vocab]
			kl := divergence(p, q)
			d.Tokens++
			d.KL += kl
			d.MaxKL = max(d.MaxKL, kl)
			d.Effect += divergence(p, without)
			for i, x := range p {
				d.Logit = max(d.Logit, math.Abs(float64(x)-float64(q[i])))
			}
			if likeliest(p) == likeliest(q) {
				same++
			}
		}
	}
	n := float64(d.Tokens)
	d.KL, d.Effect, d.Agree = d.KL/n, d.Effect/n, float64(same)/n
	return d, nil
}

// divergence is KL(softmax(p) ‖ softmax(q)).
func divergence(p, q []float32) (kl float64) {
	lp, lq := logSum(p), logSum(q)
	for i, x := range p {
		a, b := float64(x)-lp, float64(q[i])-lq
		kl += math.Exp(a) * (a - b)
	}
	return max(kl, 0)
}

func logSum(z []float32) float64 {
	most, sum := float64(z[likeliest(z)]), 0.0
	for _, x := range z {
		sum += math.Exp(float64(x) - most)
	}
	return most + math.Log(sum)
}

func likeliest(z []float32) (best int) {
	for i, x := range z {
		if x > z[best] {
			best = i
		}
	}
	return best
}

// logits are those of every token of each sample, [tokens·V].
func (s Speaker) logits(ctx context.Context, b bindings.Backend, samples [][]int32, told func()) (all [][]float32, err error) {
	types, tokens := nn.Float32, len(samples[0])
	bucket := nn.Bucket{Tokens: tokens, Sequences: 1}
	type place struct {
		memory       *bindings.Memory
		staging      *nn.Staging
		logits, rows bindings.Tensor
	}
	lay := func(m *bindings.Memory) place {
		s.Model.Params.Layout(m, types, false)
		return place{
			m, nn.NewStaging(m, types, []nn.Bucket{bucket}, s.Model.Config.Rope.Dim/2, nn.PerSequence{}),
			m.Alloc(bindings.Trainable, types.Param, tokens, s.Model.Config.Vocab), m.Alloc(bindings.Staging, bindings.I32, tokens),
		}
	}
	program := func(p place) func(bindings.Ops) {
		return func(ops bindings.Ops) {
			r := nn.Reading{Ops: ops, Memory: p.memory, Profile: b.Profile(), Types: types}
			s.Model.Decoder.Logits(r, p.logits, p.rows, p.staging.Batch(bucket))
		}
	}
	planned := lay(bindings.NewMemory())
	counter := count.New(planned.memory)
	program(planned)(counter)
	if err := counter.Err(); err != nil {
		return nil, failure.Internal("the program of logits is faulty: %w", err)
	}
	bytes := planned.memory.Peak()
	bytes[bindings.Workspace] = b.Profile().WorkspaceBytes
	dev, err := plan.Open(b, bytes)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	p := lay(bindings.NewBoundedMemory(bytes))
	if err := s.Model.Load(ctx, dev, bytes, s.Source, nil); err != nil {
		return nil, err
	}
	for _, x := range s.Model.Params.Trainable() {
		v, ok := s.Values[x.Name]
		if !ok {
			if v = make([]float32, x.Len()); x.Init != nil {
				x.Init(v)
			}
		}
		if err := model.Upload(dev, x.Value, v); err != nil {
			return nil, err
		}
	}
	run, err := dev.Prepare("logits", program(p))
	if err != nil {
		return nil, err
	}
	defer run.Close()
	positions := make([]int32, tokens)
	for i := range positions {
		positions[i] = int32(i)
	}
	batch := p.staging.Batch(bucket)
	for _, upload := range []struct {
		to   bindings.Tensor
		data []byte
	}{
		{batch.Positions, bindings.EncodeInts(positions)}, {p.rows, bindings.EncodeInts(positions)},
		{batch.Cu, bindings.EncodeInts([]int32{0, int32(tokens)})},
		{batch.Freq, bindings.Encode(batch.Freq.DType, s.Model.Config.Rope.Frequencies(tokens))},
	} {
		if err := dev.Upload(upload.to, upload.data); err != nil {
			return nil, err
		}
	}
	for _, ids := range samples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := dev.Upload(batch.IDs, bindings.EncodeInts(ids)); err != nil {
			return nil, err
		}
		if err := run.Launch(); err != nil {
			return nil, err
		}
		z, err := model.Download(dev, p.logits)
		if err != nil {
			return nil, err
		}
		all = append(all, z)
		told()
	}
	return all, nil
}
