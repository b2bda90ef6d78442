package safetensors

// DType is an element type, spelled as in the file.
type DType string

// The element types of whole bytes.
const (
	Bool   DType = "BOOL"
	U8     DType = "U8"
	I8     DType = "I8"
	F8E5M2 DType = "F8_E5M2"
	F8E4M3 DType = "F8_E4M3"
	F8E8M0 DType = "F8_E8M0"
	I16    DType = "I16"
	U16    DType = "U16"
	F16    DType = "F16"
	BF16   DType = "BF16"
	I32    DType = "I32"
	U32    DType = "U32"
	F32    DType = "F32"
	C64    DType = "C64"
	F64    DType = "F64"
	I64    DType = "I64"
	U64    DType = "U64"
)

// dtypes holds the size in bytes and the rank in which the reference writer
// lays tensors out: widest first, so that each begins aligned.
var dtypes = map[DType]struct{ size, rank int }{
	U64: {8, 0}, I64: {8, 1}, F64: {8, 2}, C64: {8, 3},
	F32: {4, 4}, U32: {4, 5}, I32: {4, 6},
	BF16: {2, 7}, F16: {2, 8}, U16: {2, 9}, I16: {2, 10},
	F8E8M0: {1, 11}, F8E4M3: {1, 12}, F8E5M2: {1, 13}, I8: {1, 14}, U8: {1, 15}, Bool: {1, 16},
}

// Size is the number of bytes of one element, 0 for an unknown type.
func (d DType) Size() int { return dtypes[d].size }
