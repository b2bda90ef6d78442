package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of a header, of rank and of a name. The first is the reference
// implementation's; no real model comes near the others.
const (
	MaxHeader = 100_000_000
	MaxRank   = 8
	MaxName   = 512
)

// header is a parsed header: tensors in the order in which they lie in the
// file, offsets from the end of the header.
type header struct {
	metadata map[string]string
	tensors  []Info
}

// parseHeader reads the JSON of a header that is followed by dataSize bytes.
// Everything the format allows readers to overlook is refused: unknown fields,
// duplicate keys, holes, overlaps, anything after the object but spaces.
func parseHeader(text []byte, dataSize int64) (*header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("the header does not begin with {")
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("the header is not UTF-8")
	}
	p := &parser{json.NewDecoder(bytes.NewReader(text))}
	p.d.UseNumber()
	h := &header{metadata: map[string]string{}}
	err := p.object("header", func(key string) (err error) {
		if key == "__metadata__" {
			return p.object(key, func(k string) error {
				h.metadata[k], err = p.text(key + "." + k)
				return err
			})
		}
		info, err := p.tensor(key)
		h.tensors = append(h.tensors, info)
		return err
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(text[p.d.InputOffset():], " "); len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the object in the header", len(rest))
	}
	return h, h.tile(dataSize)
}

// tile puts the tensors in order of offset and checks that they cover the data
// section without a hole or an overlap.
func (h *header) tile(dataSize int64) error {
	slices.SortStableFunc(h.tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	end := int64(0)
	for _, t := range h.tensors {
		switch {
		case t.begin > end:
			return fmt.Errorf("tensor %q begins at %d: bytes %d to %d belong to no tensor", t.Name, t.begin, end, t.begin)
		case t.begin < end:
			return fmt.Errorf("tensor %q begins at %d, inside the tensor before it, which ends at %d", t.Name, t.begin, end)
		}
		end = t.end
	}
	if end > dataSize {
		return fmt.Errorf("truncated: the tensors need %d bytes, %d are there", end, dataSize)
	}
	if end < dataSize {
		return fmt.Errorf("%d trailing bytes after the last tensor", dataSize-end)
	}
	return nil
}

// parser reads JSON token by token: encoding/json by itself keeps the last of
// two equal keys silently.
type parser struct{ d *json.Decoder }

func (p *parser) token(where string) (json.Token, error) {
	t, err := p.d.Token()
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("the header ends inside %s", where)
	}
	if err != nil {
		return nil, fmt.Errorf("the header is not JSON: %w", err)
	}
	return t, nil
}

// object reads {…}, calling value after each key.
func (p *parser) object(where string, value func(key string) error) error {
	if err := p.delim(where, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.d.More() {
		t, err := p.token(where)
		if err != nil {
			return err
		}
		key := t.(string) // the decoder admits nothing else here
		if seen[key] {
			return fmt.Errorf("duplicate key %q in %s", key, where)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim(where, '}')
}

func (p *parser) delim(where string, want json.Delim) error {
	t, err := p.token(where)
	if err == nil && t != want {
		return fmt.Errorf("%s: want %s, got %v", where, want, t)
	}
	return err
}

func (p *parser) text(where string) (string, error) {
	t, err := p.token(where)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%s must be a string, got %v", where, t)
	}
	return s, nil
}

// integers reads a list of at most max non-negative integers.
func (p *parser) integers(where string, max int) ([]int64, error) {
	if err := p.delim(where, '['); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.d.More() {
		t, err := p.token(where)
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s must hold integers, got %v", where, t)
		}
		v, err := strconv.ParseUint(n.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%s: %s is not an integer from 0 to 2^63-1", where, n)
		}
		if list = append(list, int64(v)); len(list) > max {
			return nil, fmt.Errorf("%s has more than %d numbers", where, max)
		}
	}
	return list, p.delim(where, ']')
}

// tensor reads the entry of one tensor and checks it against itself.
func (p *parser) tensor(name string) (Info, error) {
	if len(name) > MaxName {
		return Info{}, fmt.Errorf("a tensor name of %d bytes exceeds %d", len(name), MaxName)
	}
	where := fmt.Sprintf("tensor %q", name)
	t := Info{Name: name}
	var shape, offsets []int64
	err := p.object(where, func(key string) (err error) {
		switch key {
		case "dtype":
			var s string
			s, err = p.text(where + ".dtype")
			t.DType = DType(s)
		case "shape":
			shape, err = p.integers(where+".shape", MaxRank)
		case "data_offsets":
			offsets, err = p.integers(where+".data_offsets", 2)
		default:
			err = fmt.Errorf("%s: unknown field %q", where, key)
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case t.DType == "" || shape == nil || len(offsets) != 2:
		return t, fmt.Errorf("%s needs dtype, shape and two data_offsets", where)
	case t.DType.Size() == 0:
		return t, fmt.Errorf("%s: unknown dtype %q", where, t.DType)
	}
	t.begin, t.end = offsets[0], offsets[1]
	if t.begin > t.end {
		return t, fmt.Errorf("%s: begins at %d, after its end %d", where, t.begin, t.end)
	}
	want, ok := int64(t.DType.Size()), true
	t.Shape = make([]int, len(shape))
	for i, n := range shape {
		if t.Shape[i] = int(n); int64(t.Shape[i]) != n {
			ok = false
		}
		if want, ok = multiply(want, n, ok); !ok {
			return t, fmt.Errorf("%s: shape %v is too large", where, shape)
		}
	}
	if want != t.end-t.begin {
		return t, fmt.Errorf("%s: %s %v takes %d bytes, its offsets hold %d", where, t.DType, shape, want, t.end-t.begin)
	}
	return t, nil
}

// multiply is a*b, and ok only if it was and the product does not overflow.
func multiply(a, b int64, ok bool) (int64, bool) {
	if b != 0 && a > math.MaxInt64/b {
		return 0, false
	}
	return a * b, ok
}
