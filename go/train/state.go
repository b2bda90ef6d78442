package train

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// capture downloads the state of a run; restore uploads it.
func (e *Engine) capture(st *checkpoint.State) error {
	s := e.Model.Params
	st.Params = st.Params[:0]
	for _, p := range s.Trainable() {
		st.Params = append(st.Params, checkpoint.Param{Name: p.Name, Shape: p.Shape})
	}
	var err error
	if st.Values, err = model.Download(e.dev, s.Values); err != nil {
		return err
	}
	if st.Report, err = model.Download(e.dev, e.Placed.Report.Tensor()); err != nil {
		return err
	}
	st.Moments = nil
	for _, t := range s.Moments.Tensors() {
		x := safetensors.Tensor{Name: t.Name, DType: safetensors.U8, Shape: []int{t.Tensor.Len()}, Data: make([]byte, t.Tensor.Bytes())}
		if err := e.dev.Download(x.Data, t.Tensor); err != nil {
			return err
		}
		if t.Tensor.DType.Float() {
			x.DType, x.Data = safetensors.F32, bindings.Encode(bindings.F32, bindings.Decode(t.Tensor.DType, x.Data))
		}
		st.Moments = append(st.Moments, x)
	}
	for i, v := range st.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return failure.Diverged("trained value %d is %v; nothing was written over the last good checkpoint", i, v)
		}
	}
	return nil
}

func (e *Engine) restore(st *checkpoint.State) error {
	s := e.Model.Params
	params := s.Trainable()
	if len(params) != len(st.Params) {
		return failure.Data("the checkpoint has %d trainable parameters, this run %d", len(st.Params), len(params))
	}
	for i, p := range params {
		if p.Name != st.Params[i].Name || fmt.Sprint(p.Shape) != fmt.Sprint(st.Params[i].Shape) {
			return failure.Data("the checkpoint has %s %v where this run has %s %v", st.Params[i].Name, st.Params[i].Shape, p.Name, p.Shape)
		}
	}
	for _, x := range []struct {
		to   bindings.Tensor
		from []float32
	}{{s.Values, st.Values}, {e.Placed.Report.Tensor(), st.Report}} {
		if x.to.Len() != len(x.from) {
			return failure.Data("a buffer of the checkpoint has %d elements, want %d", len(x.from), x.to.Len())
		}
		if err := model.Upload(e.dev, x.to, x.from); err != nil {
			return err
		}
	}
	saved := map[string]safetensors.Tensor{}
	for _, t := range st.Moments {
		saved[t.Name] = t
	}
	for _, t := range s.Moments.Tensors() {
		x, want := saved[t.Name], safetensors.U8
		if t.Tensor.DType.Float() {
			want = safetensors.F32
		}
		if x.DType != want || len(x.Data) != want.Size()*t.Tensor.Len() {
			return failure.Data("%s of the checkpoint has type %q and %d bytes, want %s and %d elements: it is of another optim.state", t.Name, x.DType, len(x.Data), want, t.Tensor.Len())
		}
		if want == safetensors.F32 {
			x.Data = bindings.Encode(t.Tensor.DType, bindings.Decode(bindings.F32, x.Data))
		}
		if err := e.dev.Upload(t.Tensor, x.Data); err != nil {
			return err
		}
		delete(saved, t.Name)
	}
	for name := range saved {
		return failure.Data("the checkpoint has %s, for which this run has no place: it is of another optim.state", name)
	}
	return nil
}

// finite gives the values of a parameter, and refuses what is not finite.
func (e *Engine) finite(name string) ([]float32, error) {
	v, err := e.Values(name)
	for i, x := range v {
		if x-x != 0 {
			return nil, failure.Diverged("%s has %v at element %d; it is not written", name, x, i)
		}
	}
	return v, err
}
