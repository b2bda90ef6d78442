package export

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/plan"
)

// Arithmetic adds updates to weights, quantises them and decodes them on a
// device. A nil one does so on the host's cores.
type Arithmetic struct {
	dev    bindings.Device
	run    bindings.Runner
	memory *bindings.Memory
}

// partLen is the number of values of a matrix that are on the device at once.
const partLen = 1 << 22

// OnDevice opens a device with room for parts of the matrices of m. It gives
// nil for one that does not run operations where they are issued.
func OnDevice(b bindings.Backend, m *model.Model) (*Arithmetic, error) {
	counted := bindings.NewMemory()
	start := counted.Mark()
	newEncoding(counted, partLen/bindings.NF4Block)
	for _, l := range m.Linears() {
		for _, a := range l.Adapters {
			counted.Release(start)
			newUpdate(counted, l.Out(), l.In(), a.A.Shape[0])
		}
	}
	room := counted.Peak()
	dev, err := plan.Open(b, room)
	if err != nil {
		return nil, err
	}
	run, ok := dev.(bindings.Runner)
	if !ok {
		return nil, dev.Close()
	}
	return &Arithmetic{dev, run, bindings.NewBoundedMemory(room)}, nil
}

// Close gives the device back.
func (x *Arithmetic) Close() error {
	if x == nil {
		return nil
	}
	return x.dev.Close()
}

// update is the place of rows of a weight, of A, and of as many columns of
// scale·Bᵀ: [rows, in], [r, in], [r, rows].
type update struct{ w, a, b bindings.Tensor }

func newUpdate(m *bindings.Memory, out, in, r int) update {
	rows := max(1, min(out, partLen/in))
	return update{m.Act(bindings.F32, rows, in), m.Act(bindings.F32, r, in), m.Act(bindings.F32, r, rows)}
}

// AddUpdate is w += scale·b·a; w [out, in], b [out, r], a [r, in]: the gradient
// of a weight whose input were a and whose output's gradient scale·bᵀ.
func (x *Arithmetic) AddUpdate(w, a, b []float32, out, in, r int, scale float64) error {
	if x == nil {
		addUpdate(w, a, b, out, in, r, scale)
		return nil
	}
	mark := x.memory.Mark()
	defer x.memory.Release(mark)
	place := newUpdate(x.memory, out, in, r)
	if err := model.Upload(x.dev, place.a, a); err != nil {
		return err
	}
	columns := make([]float32, place.b.Len())
	for o := 0; o < out; o += place.w.Rows() {
		k := min(place.w.Rows(), out-o)
		for j := range r {
			for i := range k {
				columns[j*k+i] = float32(scale) * b[(o+i)*r+j]
			}
		}
		part, rows, dy := w[o*in:(o+k)*in], place.w.RowRange(0, k), place.b.View(0, r, k)
		if err := model.Upload(x.dev, rows, part); err != nil {
			return err
		}
		if err := model.Upload(x.dev, dy, columns[:r*k]); err != nil {
			return err
		}
		if err := x.run.Run(func(ops bindings.Ops) {
			ops.LinearBackward(bindings.LinearGrads{DW: rows}, bindings.Set, dy, bindings.LinearArgs{X: place.a, W: bindings.Weight{Data: rows, Out: k, In: in}})
		}); err != nil {
			return err
		}
		if err := x.download(part, rows); err != nil {
			return err
		}
	}
	return nil
}

// encoding is the place of values, codes and scales: [n, 64], [n, 32], [n].
type encoding struct{ values, codes, absmax bindings.Tensor }

func newEncoding(m *bindings.Memory, n int) encoding {
	return encoding{m.Act(bindings.F32, n, bindings.NF4Block), m.Act(bindings.U8, n, bindings.NF4Block/2), m.Act(bindings.F32, n)}
}

// encoder is quant.Encode on the device, for at most partLen values; nil on the
// host.
func (x *Arithmetic) encoder() func(codes []byte, absmax, values []float32) error {
	if x == nil {
		return nil
	}
	return func(codes []byte, absmax, values []float32) error {
		mark := x.memory.Mark()
		defer x.memory.Release(mark)
		place := newEncoding(x.memory, len(absmax))
		if err := model.Upload(x.dev, place.values, values); err != nil {
			return err
		}
		if err := x.run.Run(func(ops bindings.Ops) { ops.NF4Quantize(place.codes, place.absmax, place.values) }); err != nil {
			return err
		}
		if err := x.download(absmax, place.absmax); err != nil {
			return err
		}
		return x.dev.Download(codes, place.codes)
	}
}

// decode is quant.Decode, on a device for partLen values at a time.
func (x *Arithmetic) decode(values []float32, codes []byte, scales []float32) error {
	if x == nil {
		quant.Decode(values, codes, scales)
		return nil
	}
	for len(values) > 0 {
		n := min(len(values), partLen)
		if err := x.decodePart(values[:n], codes[:n/2], scales[:n/bindings.NF4Block]); err != nil {
			return err
		}
		values, codes, scales = values[n:], codes[n/2:], scales[n/bindings.NF4Block:]
	}
	return nil
}

func (x *Arithmetic) decodePart(values []float32, codes []byte, scales []float32) error {
	mark := x.memory.Mark()
	defer x.memory.Release(mark)
	place := newEncoding(x.memory, len(scales))
	if err := x.dev.Upload(place.codes, codes); err != nil {
		return err
	}
	if err := model.Upload(x.dev, place.absmax, scales); err != nil {
		return err
	}
	w := bindings.Weight{Out: len(scales), In: bindings.NF4Block, Data: place.codes, Absmax: place.absmax}
	if err := x.run.Run(func(ops bindings.Ops) { ops.NF4Dequantize(place.values, w) }); err != nil {
		return err
	}
	return x.download(values, place.values)
}

// requantise rounds values to what NF4 holds.
func (x *Arithmetic) requantise(values []float32, double bool) error {
	var w quant.NF4
	absmax, err := bnb.Matrix{
		Shape: []int{len(values) / bindings.NF4Block, bindings.NF4Block}, Encode: x.encoder(),
		Read: func(dst []float32, first int) error { copy(dst, values[first:]); return nil },
	}.Quantize(func(codes []byte) error { w.Codes = append(w.Codes, codes...); return nil })
	if err != nil {
		return err
	}
	if w.Absmax = absmax; double {
		w.AbsmaxCodes, w.Nested, w.Offset = quant.Double(absmax)
	}
	return x.decode(values, w.Codes, w.Scales())
}

func (x *Arithmetic) download(values []float32, t bindings.Tensor) error {
	got, err := model.Download(x.dev, t)
	copy(values, got)
	return err
}
