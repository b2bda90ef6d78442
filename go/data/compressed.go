package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"github.com/graftlm/graft/go/failure"
	"github.com/klauspost/compress/zstd"
)

// A compressed file may expand so far, and so many times over.
const (
	maxExpanded  = 64 << 30
	maxExpansion = 1000
	freeExpanded = 1 << 20 // whatever the size of the file
	zstdWindow   = 128 << 20
)

// expand reads gzip and zstd, told by their magic numbers, and anything else
// as it is.
func expand(name string, r io.Reader) (io.ReadCloser, error) {
	in := &counted{r: r}
	b := bufio.NewReaderSize(in, 1<<16)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, failure.As(failure.ErrIO, err)
	}
	out := &expanding{name: name, in: in, close: func() {}}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, failure.Data("%s: damaged gzip data: %w", name, err)
		}
		out.r = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, failure.Data("%s: damaged zstd data: %w", name, err)
		}
		out.r, out.close = z, z.Close
	default:
		return io.NopCloser(b), nil
	}
	return out, nil
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// expanding stops what grows out of proportion.
type expanding struct {
	name  string
	in    *counted
	r     io.Reader
	n     int64
	close func()
}

func (e *expanding) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.n += int64(n)
	if e.n > maxExpanded || e.n > freeExpanded+maxExpansion*e.in.n {
		return 0, failure.Data("%s: expands over 1000:1 or over 64 GiB; unpack it first", e.name)
	}
	if err != nil && !errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF {
		err = failure.Data("%s: damaged compressed data: %w", e.name, err)
	}
	return n, err
}

func (e *expanding) Close() error {
	e.close()
	return nil
}
