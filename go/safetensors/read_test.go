package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// file frames a header and data as a safetensors file.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func read(b []byte) (*safetensors.File, error) {
	return safetensors.New(bytes.NewReader(b), int64(len(b)), "m.safetensors")
}

func one(dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"a":{"dtype":"%s","shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
}

func TestReadsTheReferenceFile(t *testing.T) {
	f, err := safetensors.Open("testdata/reference.safetensors")
	require.NoError(t, err)
	defer f.Close()
	assert.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	var names []string
	for _, i := range f.Tensors() {
		names = append(names, i.Name)
	}
	assert.Equal(t, []string{"a<b>&c", "codes", "double", "eight", "empty", "five", "ids", "mask", "norm.brain", "norm.half", "scalar", "short", "weight"}, names)

	info, ok := f.Info("weight")
	require.True(t, ok)
	assert.Equal(t, []int{3, 4}, info.Shape)
	assert.Equal(t, safetensors.F32, info.DType)
	raw, values := make([]byte, info.Bytes()), make([]float32, info.Elements())
	require.NoError(t, f.ReadAt("weight", raw, 0))
	safetensors.BytesToF32(values, raw)
	for i, v := range values {
		assert.Equal(t, float32(7*i%100), v)
	}
	part := make([]byte, 8)
	require.NoError(t, f.ReadAt("weight", part, 16))
	assert.Equal(t, raw[16:24], part)

	half := make([]float32, 5)
	require.NoError(t, f.ReadAt("norm.half", raw[:10], 0))
	safetensors.F16ToF32(half, raw[:10])
	assert.Equal(t, []float32{1, 8, 15, 22, 29}, half)
	require.NoError(t, f.ReadAt("norm.brain", raw[:10], 0))
	safetensors.BF16ToF32(half, raw[:10])
	assert.Equal(t, []float32{2, 9, 16, 23, 30}, half)

	scalar, _ := f.Info("scalar")
	assert.Empty(t, scalar.Shape)
	assert.EqualValues(t, 1, scalar.Elements())
	empty, _ := f.Info("empty")
	assert.Zero(t, empty.Bytes())
	require.NoError(t, f.ReadAt("empty", nil, 0))
	assert.Error(t, f.ReadAt("weight", part, 41), "beyond the end")
	assert.Error(t, f.ReadAt("weight", part, -1))
	assert.Error(t, f.ReadAt("absent", nil, 0))
}

func TestRefusesHostileFiles(t *testing.T) {
	good := one("F32", "[2]", "[0,8]")
	_, err := read(file(good, 8))
	require.NoError(t, err, "the cases below differ from this one")
	_, err = read(file(good+"   ", 8))
	require.NoError(t, err)

	two := func(a, b string) string {
		return fmt.Sprintf(`{"a":{"dtype":"U8","shape":[4],"data_offsets":%s},"b":{"dtype":"U8","shape":[4],"data_offsets":%s}}`, a, b)
	}
	cases := map[string]struct {
		file []byte
		says string
	}{
		"empty":                   {nil, "the file is empty"},
		"short":                   {[]byte("abc"), "shorter than the 8 bytes"},
		"length beyond the file":  {[]byte("\x00\x01\x00\x00\x00\x00\x00\x00{}"), "header length 256 exceeds file size 10"},
		"length 2^64-1":           {append(bytes.Repeat([]byte{255}, 8), "{}"...), "header length 18446744073709551615 exceeds file size 10"},
		"length 0":                {file("", 0), "does not begin with {"},
		"length 1":                {file("{", 0), "ends inside"},
		"space first":             {file(" "+good, 8), "does not begin with {"},
		"not UTF-8":               {file("{\"\xff\":1}", 0), "not UTF-8"},
		"not JSON":                {file(`{"a":tru}`, 0), "not JSON"},
		"cut off":                 {file(good[:len(good)-1], 8), "ends inside"},
		"trailing bytes":          {file(good+"x", 8), "1 bytes follow the object"},
		"second object":           {file(good+"{}", 8), "2 bytes follow the object"},
		"no object":               {file(`{"a":[]}`, 0), `tensor "a": want {`},
		"duplicate tensor":        {file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), `duplicate key "a" in header`},
		"duplicate escaped":       {file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), `duplicate key "a" in header`},
		"duplicate field":         {file(`{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), `duplicate key "dtype" in tensor "a"`},
		"duplicate metadata":      {file(`{"__metadata__":{"x":"1","x":"2"}}`, 0), `duplicate key "x" in __metadata__`},
		"metadata of numbers":     {file(`{"__metadata__":{"x":1}}`, 0), "__metadata__.x must be a string"},
		"metadata nested":         {file(`{"__metadata__":{"x":{"y":"z"}}}`, 0), "__metadata__.x must be a string"},
		"unknown field":           {file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"code":"x"}}`, 0), `unknown field "code"`},
		"missing shape":           {file(`{"a":{"dtype":"U8","data_offsets":[0,0]}}`, 0), "needs dtype, shape and two data_offsets"},
		"missing dtype":           {file(`{"a":{"shape":[0],"data_offsets":[0,0]}}`, 0), "needs dtype"},
		"one offset":              {file(one("U8", "[0]", "[0]"), 0), "two data_offsets"},
		"three offsets":           {file(one("U8", "[0]", "[0,0,0]"), 0), "more than 2 numbers"},
		"unknown dtype":           {file(one("F31", "[2]", "[0,8]"), 8), `unknown dtype "F31"`},
		"sub-byte dtype":          {file(one("F4", "[2]", "[0,1]"), 1), `unknown dtype "F4"`},
		"hole between":            {file(two("[0,4]", "[5,9]"), 9), `tensor "b" begins at 5: bytes 4 to 5 belong to no tensor`},
		"hole in front":           {file(two("[1,5]", "[5,9]"), 9), `tensor "a" begins at 1: bytes 0 to 1`},
		"overlap":                 {file(two("[0,4]", "[3,7]"), 7), `tensor "b" begins at 3, inside the tensor before it, which ends at 4`},
		"same bytes twice":        {file(two("[0,4]", "[0,4]"), 4), "inside the tensor before it"},
		"begin after end":         {file(one("U8", "[4]", "[8,4]"), 8), "begins at 8, after its end 4"},
		"negative offset":         {file(one("U8", "[4]", "[-4,0]"), 4), "-4 is not an integer"},
		"minus zero":              {file(one("U8", "[4]", "[-0,4]"), 4), "-0 is not an integer"},
		"float offset":            {file(one("U8", "[4]", "[0.0,4]"), 4), "0.0 is not an integer"},
		"exponent offset":         {file(one("U8", "[4]", "[0,4e0]"), 4), "4e0 is not an integer"},
		"offset 2^63":             {file(one("U8", "[4]", "[0,9223372036854775808]"), 4), "is not an integer from 0 to 2^63-1"},
		"string offset":           {file(one("U8", "[4]", `["0",4]`), 4), "must hold integers"},
		"product overflows":       {file(one("F32", "[4611686018427387904,4]", "[0,0]"), 0), "is too large"},
		"product wraps to 8":      {file(one("F32", "[4611686018427387905,2]", "[0,8]"), 8), "is too large"},
		"size differs":            {file(one("F32", "[3]", "[0,8]"), 8), "F32 [3] takes 12 bytes, its offsets hold 8"},
		"rank 9":                  {file(one("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1), "more than 8 numbers"},
		"name of 513 bytes":       {file(`{"`+strings.Repeat("n", 513)+`":{}}`, 0), "a tensor name of 513 bytes exceeds 512"},
		"truncated data":          {file(good, 7), "truncated: the tensors need 8 bytes, 7 are there"},
		"trailing data":           {file(good, 9), "1 trailing bytes after the last tensor"},
		"data without a tensor":   {file("{}", 3), "3 trailing bytes"},
		"pickle in a zip":         {[]byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "PyTorch pickle"},
		"bare pickle":             {[]byte("\x80\x02}q\x00(X\x06\x00\x00\x00"), "PyTorch pickle"},
		"LFS pointer":             {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "this is a Git LFS pointer, not weights"},
		"HTML":                    {[]byte("\n<!DOCTYPE html><html>404</html>"), "this is an HTML page, not weights"},
		"GGUF":                    {[]byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00"), "GGUF"},
		"JSON":                    {[]byte(`{"error":"not found"}`), "this is a JSON file"},
		"deep nesting":            {file(`{"a":`+strings.Repeat("[", 200000), 0), `tensor "a": want {`},
		"deep nesting in a shape": {file(`{"a":{"shape":`+strings.Repeat("[", 200000), 0), "must hold integers"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.file)
			require.ErrorIs(t, err, failure.ErrData)
			assert.ErrorContains(t, err, "m.safetensors: ")
			assert.ErrorContains(t, err, c.says)
		})
	}
}

// endless claims a size without holding the bytes.
type endless struct{ start []byte }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(e.start)) {
		copy(p, e.start[off:])
	}
	return len(p), nil
}

func TestRefusesLongHeaderBeforeReadingIt(t *testing.T) {
	start := append(binary.LittleEndian.AppendUint64(nil, safetensors.MaxHeader+1), '{')
	_, err := safetensors.New(endless{start}, 1<<40, "m.safetensors")
	assert.ErrorContains(t, err, "header length 100000001 exceeds the limit of 100000000")
	assert.ErrorIs(t, err, failure.ErrData)
}

func TestOpenNeedsARegularFile(t *testing.T) {
	_, err := safetensors.Open(t.TempDir())
	assert.ErrorIs(t, err, failure.ErrData)
	_, err = safetensors.Open(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorIs(t, err, failure.ErrNoInput)
}

func TestTruncationWhileOpenIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, os.WriteFile(path, file(one("F32", "[2]", "[0,8]"), 8), 0o644))
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(path, 20))
	err = f.ReadAt("a", make([]byte, 8), 0)
	assert.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "truncated after it was opened")
}

// FuzzHeader holds the reader to its promise: an error, or tensors that tile
// the data section and can all be read.
func FuzzHeader(f *testing.F) {
	for _, s := range []struct {
		header string
		data   int
	}{
		{one("F32", "[2]", "[0,8]"), 8}, {one("F32", "[]", "[0,4]"), 4}, {one("BF16", "[0,9223372036854775807]", "[0,0]"), 0},
		{`{"__metadata__":{"format":"pt"},` + one("U8", "[1]", "[0,1]")[1:] + "  ", 1},
		{`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}`, 7},
		{"{}", 0}, {`{"a":1}`, 3}, {`{"\ud800":{}}`, 0},
	} {
		f.Add([]byte(s.header), uint16(s.data))
	}
	f.Fuzz(func(t *testing.T, header []byte, data uint16) {
		bounded.Run(t, 4+uint64(len(header))>>12, func() {
			s, err := read(file(string(header), int(data)))
			if err != nil {
				require.ErrorIs(t, err, failure.ErrData)
				return
			}
			total := int64(0)
			for _, i := range s.Tensors() {
				require.Equal(t, i.Bytes(), i.Elements()*int64(i.DType.Size()))
				require.NoError(t, s.ReadAt(i.Name, make([]byte, i.Bytes()), 0))
				total += i.Bytes()
			}
			require.EqualValues(t, data, total)
		})
	})
}
