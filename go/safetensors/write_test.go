package safetensors_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// contents reads every tensor of a file.
func contents(t *testing.T, f *safetensors.File) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, i := range f.Tensors() {
		data := make([]byte, i.Bytes())
		require.NoError(t, f.ReadAt(i.Name, data, 0))
		list = append(list, safetensors.Tensor{Name: i.Name, DType: i.DType, Shape: i.Shape, Data: data})
	}
	return list
}

func TestWritesWhatTheReferenceWrites(t *testing.T) {
	want, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(t, err)
	f, err := safetensors.Open("testdata/reference.safetensors")
	require.NoError(t, err)
	defer f.Close()
	list := contents(t, f)
	for range 5 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		path := filepath.Join(t.TempDir(), "out.safetensors")
		require.NoError(t, safetensors.Write(path, list, nil))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestStreamsAndMetadata(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, safetensors.Encode(&b, []safetensors.Tensor{
		{Name: "s", DType: safetensors.U8, Shape: []int{5}, Stream: func(w io.Writer) error {
			_, err := io.WriteString(w, "hello")
			return err
		}},
		{Name: "e", DType: safetensors.F32, Shape: []int{0}},
	}, map[string]string{"step": "3", "format": "pt"}))
	f, err := read(b.Bytes())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"step": "3", "format": "pt"}, f.Metadata())
	got := make([]byte, 5)
	require.NoError(t, f.ReadAt("s", got, 0))
	assert.Equal(t, "hello", string(got))
	assert.Zero(t, len(f.Header())%8)
}

func TestWriterRefusesWhatTheReaderWould(t *testing.T) {
	eight := make([]byte, 8)
	for name, list := range map[string][]safetensors.Tensor{
		"twice":         {{Name: "a", DType: "U8", Shape: []int{8}, Data: eight}, {Name: "a", DType: "U8", Shape: []int{8}, Data: eight}},
		"reserved":      {{Name: "__metadata__", DType: "U8", Shape: []int{8}, Data: eight}},
		"size":          {{Name: "a", DType: "U8", Shape: []int{9}, Data: eight}},
		"short stream":  {{Name: "a", DType: "U8", Shape: []int{9}, Stream: func(io.Writer) error { return nil }}},
		"unknown dtype": {{Name: "a", DType: "F31", Shape: []int{2}, Data: eight}},
		"negative":      {{Name: "a", DType: "U8", Shape: []int{-8}, Data: eight}},
		"overflow":      {{Name: "a", DType: "U8", Shape: []int{1 << 40, 1 << 40}, Data: eight}},
		"rank":          {{Name: "a", DType: "U8", Shape: []int{1, 1, 1, 1, 1, 1, 1, 1, 8}, Data: eight}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		assert.Error(t, safetensors.Write(path, list, nil), name)
		assert.NoFileExists(t, path)
	}
}
