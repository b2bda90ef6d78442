package model

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
)

// Quantization is how the matrices of linear layers are stored: the values of
// model.quant. Embeddings, norms, biases and the head stay as they are.
type Quantization string

const (
	QuantAuto Quantization = "auto" // as in the checkpoint
	QuantNone Quantization = "none" // in the compute type; a four-bit checkpoint is decoded
	QuantNF4  Quantization = "nf4"  // in four bits; another checkpoint is quantised while it is read
)

// Quantize decides the storage of every linear layer, after a method has marked
// what is trained and before the parameters are laid out. A checkpoint that is
// quantised keeps its own: what it has left in 16 bits stays so. double asks
// for doubly quantised scales otherwise.
func (m *Model) Quantize(s bnb.Source, how Quantization, double bool) error {
	switch how {
	case "", QuantAuto, QuantNone, QuantNF4:
	default:
		return failure.Config("model.quant: %q, want auto, none or nf4", how)
	}
	ahead := map[*nn.Linear]*bnb.Tensor{}
	for _, l := range m.Linears() {
		q, err := m.find(s, l.W.Name)
		if err != nil {
			return err
		}
		if q != nil {
			ahead[l] = q
		}
	}
	for _, l := range m.Linears() {
		q := ahead[l]
		switch {
		case how == QuantNone || len(ahead) > 0 && q == nil || len(ahead) == 0 && how != QuantNF4:
			continue
		case l.W.Trainable:
			return failure.Config("model.quant: %s is trained and can not be in four bits; use method.type qlora, or model.quant none, which decodes the base", l.W.Name)
		case l.In()%bindings.NF4Block != 0:
			return failure.Config("model.quant: %s has %d inputs; nf4 needs a multiple of %d", l.Name, l.In(), bindings.NF4Block)
		case q != nil:
			l.W.Storage = storage(q.Double)
		default:
			l.W.Storage = storage(double)
		}
	}
	return nil
}

func storage(double bool) nn.Storage {
	if double {
		return nn.NF4Double
	}
	return nn.NF4
}

// find is bnb.Find under either name of a tensor.
func (m *Model) find(s bnb.Source, name string) (*bnb.Tensor, error) {
	for _, n := range Names(name) {
		if q, err := bnb.Find(s, n); q != nil || err != nil {
			return q, err
		}
	}
	return nil, nil
}

// quantized loads a matrix that is in four bits in the checkpoint as it lies
// there.
func (l loading) quantized(q *bnb.Tensor) error {
	codes := make([]byte, min(chunk, l.p.Value.Len()))
	for at, n := 0, l.p.Value.Len(); at < n; {
		part := codes[:min(len(codes), n-at)]
		if err := l.step(2 * len(part)); err != nil {
			return err
		}
		if err := q.Codes(part, int64(at)); err != nil {
			return err
		}
		if err := l.dev.Upload(l.p.Value.View(at, len(part)), part); err != nil {
			return err
		}
		at += len(part)
	}
	w, err := q.Scales()
	if err != nil {
		return err
	}
	return l.scales(w)
}

func (l loading) scales(w quant.NF4) error {
	if l.p.Storage == nn.NF4 {
		return Upload(l.dev, l.p.Absmax, w.Absmax)
	}
	if err := l.dev.Upload(l.p.Absmax, w.AbsmaxCodes); err != nil {
		return err
	}
	if err := Upload(l.dev, l.p.Nested, w.Nested); err != nil {
		return err
	}
	return Upload(l.dev, l.p.Offset, []float32{w.Offset})
}
