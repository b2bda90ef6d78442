package bindings

import "fmt"

// DType is the element type of a tensor.
type DType uint8

// The element types that cross to a device. Other types of files (float16) are
// converted while they are read.
const (
	F32 DType = iota
	BF16
	F64 // the reference device only
	I32
	U32
	U8
	NumDTypes
)

// Size is the number of bytes of one element.
func (d DType) Size() int64 { return [...]int64{4, 2, 8, 4, 4, 1}[d] }

// Float reports whether the type is a floating-point type.
func (d DType) Float() bool { return d <= F64 }

func (d DType) String() string { return [...]string{"f32", "bf16", "f64", "i32", "u32", "u8"}[d] }

// Space names an arena. Everything but Activations lives as long as the device.
type Space uint8

const (
	Frozen      Space = iota // base weights: written once, before the first step
	Trainable                // parameters, gradients, moments, the report of a step
	Staging                  // what the host writes before a launch
	Activations              // a stack; empty between launches
	Workspace                // owned by the device: packing buffers, by Profile.Workspace
	NumSpaces
)

func (s Space) String() string {
	return [...]string{"frozen", "trainable", "staging", "activations", "workspace"}[s]
}

// Slot is one allocation. It is a value: copying a tensor copies no memory and
// a step allocates next to nothing on the Go heap. Serial tells apart two
// allocations that used the same bytes one after the other: the tracer keys its
// values by it, and it makes use after release an error in every reading.
type Slot struct {
	Space  Space
	Index  int32
	Serial int32
	Offset int64 // bytes from the start of the arena
	Bytes  int64
}

// MaxRank is the largest number of dimensions.
const MaxRank = 4

// Shape has at most MaxRank dimensions; unused ones are zero, so that shapes
// compare with ==.
type Shape struct {
	Dim  [MaxRank]int
	Rank int
}

// ShapeOf makes a shape.
func ShapeOf(dims ...int) (s Shape) {
	if len(dims) > MaxRank {
		panic(fmt.Sprintf("bindings: %d dimensions, at most %d", len(dims), MaxRank))
	}
	s.Rank = copy(s.Dim[:], dims)
	return s
}

// Dims is the shape as a slice.
func (s Shape) Dims() []int { return append([]int(nil), s.Dim[:s.Rank]...) }

// Len is the number of elements.
func (s Shape) Len() int {
	n := 1
	for _, d := range s.Dim[:s.Rank] {
		n *= d
	}
	return n
}

// Tensor is a contiguous range of one slot, seen with a shape. There are no
// strides: a view is a range of whole rows, so that it is an offset to a kernel
// and a slice to the tracer. The zero Tensor stands for "none".
type Tensor struct {
	Slot  Slot
	First int // first element, counted from the start of the slot
	DType DType
	Shape Shape
}

// Len is the number of elements.
func (t Tensor) Len() int { return t.Shape.Len() }

// Rows is the first dimension, Cols the number of elements of a row.
func (t Tensor) Rows() int { return t.Shape.Dim[0] }

// Cols is the number of elements of one row: the product of all dimensions but
// the first.
func (t Tensor) Cols() int {
	n := 1
	for _, d := range t.Shape.Dim[1:max(t.Shape.Rank, 1)] {
		n *= d
	}
	return n
}

// Bytes is the size of the range.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * t.DType.Size() }

// Offset is where the range starts in its arena, in bytes.
func (t Tensor) Offset() int64 { return t.Slot.Offset + int64(t.First)*t.DType.Size() }

// Valid reports whether the tensor exists.
func (t Tensor) Valid() bool { return t.Slot.Serial != 0 }

// View is a range of the tensor's elements, starting at element first.
func (t Tensor) View(first int, dims ...int) Tensor {
	v := t
	v.First, v.Shape = t.First+first, ShapeOf(dims...)
	if first < 0 || first+v.Len() > t.Len() {
		panic(fmt.Sprintf("bindings: view of %v at %d leaves %v", dims, first, t))
	}
	return v
}

// Reshape is the same elements with another shape of the same length.
func (t Tensor) Reshape(dims ...int) Tensor { return t.View(0, dims...) }

// RowRange is the view of rows [from, to).
func (t Tensor) RowRange(from, to int) Tensor {
	d := t.Shape.Dims()
	d[0] = to - from
	return t.View(from*t.Cols(), d...)
}

func (t Tensor) String() string {
	if !t.Valid() {
		return "none"
	}
	return fmt.Sprintf("%s%v@%s+%d", t.DType, t.Shape.Dims(), t.Slot.Space, t.Offset())
}

// Overlaps reports whether two tensors share a byte.
func (t Tensor) Overlaps(u Tensor) bool {
	return t.Valid() && u.Valid() && t.Slot.Space == u.Slot.Space &&
		t.Offset() < u.Offset()+u.Bytes() && u.Offset() < t.Offset()+t.Bytes()
}
