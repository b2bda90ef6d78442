package reference

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

// slice is the memory of a tensor as elements of type E.
func slice[E byte | int32 | uint32 | float32 | float64, F real](d *device[F], t bindings.Tensor) []E {
	b, err := d.bytes(t)
	if len(b) == 0 || err != nil {
		return nil
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(E))))
}

func (d *device[F]) ints(t bindings.Tensor) []int32   { return slice[int32](d, t) }
func (d *device[F]) words(t bindings.Tensor) []uint32 { return slice[uint32](d, t) }

// load reads a tensor of floats. In the device's own type it is the memory
// itself, else a converted copy, which store writes back; nil for none.
func (d *device[F]) load(t bindings.Tensor) []F {
	if !t.Valid() {
		return nil
	}
	if d.native(t) {
		return slice[F](d, t)
	}
	b, _ := d.bytes(t)
	f := make([]F, t.Len())
	for i := range f {
		switch t.DType {
		case bindings.BF16:
			f[i] = F(bindings.BF16ToFloat(binary.LittleEndian.Uint16(b[2*i:])))
		case bindings.F32:
			f[i] = F(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		case bindings.F64:
			f[i] = F(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	}
	return f
}

// store ends what load began: it rounds f into the tensor.
func (d *device[F]) store(t bindings.Tensor, f []F) {
	if !t.Valid() || d.native(t) {
		return
	}
	b, _ := d.bytes(t)
	for i, v := range f {
		switch t.DType {
		case bindings.BF16:
			binary.LittleEndian.PutUint16(b[2*i:], bindings.FloatToBF16(float32(v)))
		case bindings.F32:
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(v)))
		case bindings.F64:
			binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(float64(v)))
		}
	}
}

// native reports whether the tensor has the type that the device computes in.
func (d *device[F]) native(t bindings.Tensor) bool {
	return t.DType.Float() && t.DType.Size() == int64(unsafe.Sizeof(F(0)))
}

// round is v as a tensor of that type would hold it.
func round[F real](t bindings.DType, v F) F {
	if t == bindings.BF16 {
		return F(bindings.BF16ToFloat(bindings.FloatToBF16(float32(v))))
	}
	return v
}

// rounded is a parameter where it is used in a product: in the type of the
// activations.
func rounded[F real](t bindings.DType, f []F) []F {
	if t != bindings.BF16 {
		return f
	}
	r := make([]F, len(f))
	for i, v := range f {
		r[i] = round(t, v)
	}
	return r
}

// poison fills scratch with ones.
func (d *device[F]) poison(scratch bindings.Tensor) {
	b := slice[byte](d, scratch)
	for i := range b {
		b[i] = 0xff
	}
}

// dot is Σ x·y over the length of x, summed in float64.
func dot[F real](x, y []F) (s float64) {
	y = y[:len(x)]
	for i, v := range x {
		s += float64(v) * float64(y[i])
	}
	return s
}

// axpy is y += a·x over the length of y.
func axpy[F real](y []float64, a float64, x []F) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * float64(x[i])
	}
}

// put writes sums, or adds them.
func put[F real](dst []F, sum []float64, how bindings.Write) {
	for i, v := range sum {
		if how == bindings.Accumulate {
			v += float64(dst[i])
		}
		dst[i] = F(v)
	}
}
