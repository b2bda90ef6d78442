package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
)

// Tensor is a tensor to be written: its bytes in Data, or streamed by Stream
// where Data is nil. A stream must yield exactly the bytes of the shape.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int
	Data   []byte
	Stream func(io.Writer) error
}

// Bytes is the size of the tensor's data; an impossible shape is an error.
func (t Tensor) Bytes() (int64, error) {
	n, ok := int64(t.DType.Size()), true
	if n == 0 {
		return 0, failure.Internal("tensor %q: unknown dtype %q", t.Name, t.DType)
	}
	for _, d := range t.Shape {
		if n, ok = multiply(n, int64(d), d >= 0 && ok); !ok {
			return 0, failure.Internal("tensor %q: impossible shape %v", t.Name, t.Shape)
		}
	}
	return n, nil
}

// Write makes a file, whole or not at all. The order of the tensors does not
// matter. A nil metadata stands for {"format": "pt"}, which transformers
// insists on.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	return atomicfs.Stream(path, func(w io.Writer) error { return Encode(w, tensors, metadata) })
}

// Encode writes what Write puts into the file.
func Encode(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(dtypes[a.DType].rank, dtypes[b.DType].rank), cmp.Compare(a.Name, b.Name))
	})
	head, err := encodeHeader(sorted, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range sorted {
		size, err := t.Bytes()
		if err != nil {
			return err
		}
		written := int64(len(t.Data))
		if t.Data == nil && t.Stream != nil {
			c := &counter{w: w}
			err = t.Stream(c)
			written = c.n
		} else {
			_, err = w.Write(t.Data)
		}
		if err != nil {
			return err
		}
		if written != size {
			return failure.Internal("tensor %q: %s %v takes %d bytes, got %d", t.Name, t.DType, t.Shape, size, written)
		}
	}
	return nil
}

// encodeHeader is the length and the header, padded with spaces to 8 bytes.
func encodeHeader(sorted []Tensor, metadata map[string]string) ([]byte, error) {
	if metadata == nil {
		metadata = map[string]string{"format": "pt"}
	}
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"__metadata__":` + quote(metadata) + `,`)
	}
	seen := map[string]bool{"__metadata__": true}
	offset := int64(0)
	for _, t := range sorted {
		if seen[t.Name] || len(t.Name) > MaxName || len(t.Shape) > MaxRank {
			return nil, failure.Internal("tensor %q of rank %d: the name is taken or longer than %d bytes, or the rank exceeds %d", t.Name, len(t.Shape), MaxName, MaxRank)
		}
		seen[t.Name] = true
		size, err := t.Bytes()
		if err != nil {
			return nil, err
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		fmt.Fprintf(b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]},`, quote(t.Name), t.DType, quote(shape), offset, offset+size)
		offset += size
	}
	if b.Bytes()[b.Len()-1] == ',' {
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > MaxHeader {
		return nil, failure.Internal("a header of %d bytes exceeds the limit of %d", b.Len()-8, MaxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), nil
}

// quote is the JSON of a string, a list of numbers or a map of strings; keys
// come out sorted.
func quote(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // these types always encode
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// counter counts what passes through.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
