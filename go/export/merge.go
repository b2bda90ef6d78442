// Package export writes models for others: a base with an adapter merged into
// its weights, as a Hugging Face directory.
package export

import (
	"context"
	"io"
	"math"
	"runtime"
	"sync"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// Base is a model whose weights are merged into: a *hub.Model as it is, or
// Dequantized.
type Base interface {
	Tensors() []safetensors.Info
	ReadAt(name string, dst []byte, offset int64) error
	// Copy writes the files beside the weights, but for those named.
	Copy(to *atomicfs.Dir, except ...string) error
	ConfigJSON() []byte
}

// Merge writes W + Σ scale·B·A for each adapted layer of m, with DoRA's
// magnitudes, and the modules that were trained whole, everything else byte for
// byte, into a new directory. values are those of the adapters by parameter
// name. The sum is made in float32 and rounded once to the type of the base, as
// PEFT's merge_and_unload does.
func Merge(ctx context.Context, on *Arithmetic, base Base, m *model.Model, values map[string][]float32, dir string, tell Progress) error {
	tensors, err := merged(ctx, on, base, m, values)
	if err != nil {
		return err
	}
	return write(base, tensors, dir, tell, nil)
}

// merged are the tensors of a base with an adapter merged into them.
func merged(ctx context.Context, on *Arithmetic, base Base, m *model.Model, values map[string][]float32) ([]safetensors.Tensor, error) {
	adapted := map[string]*nn.Linear{}
	for _, l := range m.Linears() {
		if len(l.Adapters) > 0 {
			adapted[l.W.Name] = l
		}
	}
	if m.Virtual() > 0 {
		return nil, failure.Data("virtual tokens are no part of a weight, so the adapter cannot be merged; load it beside the base")
	}
	replaced := map[string][]float32{}
	for _, p := range m.Base() {
		if v, ok := values[p.Name]; ok {
			replaced[p.Name] = v
		}
	}
	if len(adapted) == 0 && len(replaced) == 0 {
		return nil, failure.Data("there is no adapter to merge")
	}
	if d := m.Decoder; d != nil && m.Config.Tied && d.Head != d.Embed {
		return nil, failure.Data("the adapter trained embed_tokens or lm_head apart, and the base has one weight for both: a merged model of its config.json cannot hold two")
	}
	found := 0
	var tensors []safetensors.Tensor
	for _, info := range base.Tensors() {
		t := safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape}
		l := adapted[info.Name]
		if l == nil {
			l = adapted["model."+info.Name]
		}
		if l != nil {
			found++
		}
		t.Stream = func(w io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			raw := make([]byte, info.Bytes())
			if err := base.ReadAt(info.Name, raw, 0); err != nil {
				return err
			}
			whole := replaced[info.Name]
			if whole == nil {
				whole = replaced["model."+info.Name]
			}
			if whole != nil {
				if err := encode(raw, info.DType, whole, info.Name); err != nil {
					return err
				}
			}
			if l != nil {
				if err := on.add(raw, info.DType, l, values); err != nil {
					return err
				}
			}
			_, err := w.Write(raw)
			return err
		}
		tensors = append(tensors, t)
	}
	if found != len(adapted) {
		return nil, failure.Data("the base has %d of the %d layers that the adapter changes: the adapter is for another base", found, len(adapted))
	}
	return tensors, nil
}

// add adds the update of a layer to its weight, in the weight's own type.
func (x *Arithmetic) add(raw []byte, t safetensors.DType, l *nn.Linear, values map[string][]float32) error {
	w := make([]float32, l.W.Len())
	if torchNames[t] == "" {
		return failure.Data("%s has type %s, want F32, BF16 or F16; merge onto the decoded base of a quantised checkpoint", l.W.Name, t)
	}
	decodeFloats(w, t, raw)
	for _, a := range l.Adapters {
		if err := x.AddUpdate(w, values[a.A.Name], values[a.B.Name], l.Out(), l.In(), a.A.Shape[0], a.Scale); err != nil {
			return err
		}
		if a.Magnitude != nil {
			scaleRows(w, values[a.Magnitude.M.Name], l.In())
		}
	}
	return encode(raw, t, w, l.W.Name)
}

// scaleRows gives the rows of w the lengths m (DoRA).
func scaleRows(w, m []float32, in int) {
	for o, length := range m {
		row := w[o*in : (o+1)*in]
		squares := 0.0
		for _, x := range row {
			squares += float64(x) * float64(x)
		}
		f := float64(length) / math.Sqrt(squares)
		for i, x := range row {
			row[i] = float32(float64(x) * f)
		}
	}
}

// encode rounds w to the type of a file, and refuses what is not finite.
func encode(raw []byte, t safetensors.DType, w []float32, name string) error {
	if len(raw) != len(w)*t.Size() {
		return failure.Data("%s has %d elements in the adapter and %d in the base: the adapter is for another base", name, len(w), len(raw)/t.Size())
	}
	for i, v := range w {
		if v-v != 0 {
			return failure.Data("%s: element %d would be %v", name, i, v)
		}
	}
	encodeFloats(raw, t, w)
	return nil
}

func decodeFloats(dst []float32, t safetensors.DType, src []byte) {
	switch t {
	case safetensors.F32:
		safetensors.BytesToF32(dst, src)
	case safetensors.BF16:
		safetensors.BF16ToF32(dst, src)
	case safetensors.F16:
		safetensors.F16ToF32(dst, src)
	}
}

func encodeFloats(dst []byte, t safetensors.DType, src []float32) {
	switch t {
	case safetensors.F32:
		safetensors.F32ToBytes(dst, src)
	case safetensors.BF16:
		safetensors.F32ToBF16(dst, src)
	case safetensors.F16:
		safetensors.F32ToF16(dst, src)
	}
}

// addUpdate is w += scale·b·a; w [out, in], b [out, r], a [r, in].
func addUpdate(w, a, b []float32, out, in, r int, scale float64) {
	var wait sync.WaitGroup
	workers := min(runtime.NumCPU(), out)
	for k := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			sum := make([]float32, in)
			for o := out * k / workers; o < out*(k+1)/workers; o++ {
				clear(sum)
				for j := range r {
					f := b[o*r+j]
					for i, x := range a[j*in : (j+1)*in] {
						sum[i] += f * x
					}
				}
				row := w[o*in : (o+1)*in]
				for i, s := range sum {
					row[i] += float32(scale) * s
				}
			}
		}()
	}
	wait.Wait()
}
