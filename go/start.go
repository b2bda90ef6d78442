package graft

import (
	"context"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
)

// start gives the first values of the method's parameters that come from an
// adapter directory or from the base. It runs before the memory of the run is
// reserved: what it opens is closed again.
func (r *Run) start(ctx context.Context) (map[string][]float32, error) {
	how, ok := r.Method.(method.Starter)
	if !ok || r.initial != nil {
		return r.initial, nil
	}
	return how.Start(ctx, r.Model, weights{r}, uint64(r.Config.Train.Seed))
}

// weights is the base of a run, as a method.Starter asks for it.
type weights struct{ run *Run }

var _ method.Weights = weights{}

func (w weights) Rows(name string, rows []int32) ([]float32, error) {
	return w.run.Model.Rows(w.run.Base.Files, name, rows)
}

func (w weights) KeysValues(ctx context.Context, ids []int32) (keys, values [][]float32, err error) {
	b, c := w.run.Base, w.run.Config.Model
	m := model.New(b.Config)
	if err := m.Quantize(b.Files, model.Quantization(c.Quant), c.Double); err != nil {
		return nil, nil, err
	}
	g, err := generate.Open(ctx, w.run.Backend, generate.Options{
		Model: m, Types: b.Types, MaxTokens: len(ids) + 1, Source: b.Files,
	})
	if err != nil {
		return nil, nil, err
	}
	defer g.Close()
	keys, values, err = g.KeysValues(ctx, ids)
	return keys, values, failure.As(failure.ErrInternal, err)
}
