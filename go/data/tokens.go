package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// trainedBit marks a token that is trained; ids are below it.
const trainedBit = 1 << 31

// spillTokens is how many tokens are held in memory, 64 MiB of them.
const spillTokens = 16 << 20

// tokens are those of all rows one after another, four bytes each, in memory
// or in a file.
type tokens struct {
	room   int // tokens that memory takes
	n      int
	memory []uint32
	file   *os.File
	w      *bufio.Writer // while the file is written
}

// add appends a row and gives its key.
func (t *tokens) add(row []uint32) (key uint64, err error) {
	encoded := encode(row)
	sum := sha256.Sum256(encoded)
	if t.file == nil && len(t.memory)+len(row) > t.room {
		if err := t.spill(); err != nil {
			return 0, err
		}
	}
	if t.file == nil {
		t.memory = append(t.memory, row...)
	} else if _, err := t.w.Write(encoded); err != nil {
		return 0, failure.As(failure.ErrIO, err)
	}
	t.n += len(row)
	return binary.LittleEndian.Uint64(sum[:]), nil
}

// spill moves the tokens into a file that goes with the process.
func (t *tokens) spill() (err error) {
	if t.file, err = os.CreateTemp("", "graft-rows-"); err != nil {
		return failure.As(failure.ErrIO, err)
	}
	if err := os.Remove(t.file.Name()); err != nil {
		return failure.As(failure.ErrIO, err)
	}
	t.w = bufio.NewWriterSize(t.file, 1<<20)
	err = writeAll(t.w, t.memory)
	t.memory = nil
	return err
}

// finish ends the writing.
func (t *tokens) finish() error {
	if t.w == nil {
		return nil
	}
	err := t.w.Flush()
	t.w = nil
	return failure.As(failure.ErrIO, err)
}

// read gives the tokens from start to end.
func (t *tokens) read(start, end int) ([]uint32, error) {
	if t.file == nil {
		return t.memory[start:end], nil
	}
	encoded := make([]byte, 4*(end-start))
	if _, err := t.file.ReadAt(encoded, 4*int64(start)); err != nil && end > start {
		return nil, failure.IO("reading tokenised rows: %w", err)
	}
	row := make([]uint32, end-start)
	for i := range row {
		row[i] = binary.LittleEndian.Uint32(encoded[4*i:])
	}
	return row, nil
}

// writeTo copies all tokens.
func (t *tokens) writeTo(w io.Writer) error {
	if t.file == nil {
		return writeAll(w, t.memory)
	}
	_, err := io.Copy(w, io.NewSectionReader(t.file, 0, 4*int64(t.n)))
	return err
}

func writeAll(w io.Writer, v []uint32) error {
	for part := range slices.Chunk(v, 1<<16) {
		if _, err := w.Write(encode(part)); err != nil {
			return failure.As(failure.ErrIO, err)
		}
	}
	return nil
}

func (t *tokens) close() error {
	if t.file == nil {
		return nil
	}
	return failure.As(failure.ErrIO, t.file.Close())
}

// encode writes tokens little-endian.
func encode(v []uint32) []byte {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	return b
}
