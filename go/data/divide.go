package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/graftlm/graft/go/failure"
)

// Divided says how many records Divide wrote to each part.
type Divided struct {
	Train int `json:"train"`
	Val   int `json:"val"`
}

// Divide writes the records of sources as JSONL to two parts, the choice of
// Rows.Split: size is a part below 1 or a number of records. The files are read
// twice, one record at a time.
func Divide(ctx context.Context, sources []Source, size float64, seed uint64, train, val io.Writer) (done Divided, err error) {
	each := func(f func(name string, it item) error) error {
		for _, s := range sources {
			if s.Path == "-" {
				return failure.Usage("the standard input cannot be split: it is read twice; name a file")
			}
			if _, err := s.each(nil, f); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	n := 0
	if err := each(func(string, item) error { n++; return ctx.Err() }); err != nil {
		return done, err
	}
	count, err := heldOut(size, n)
	if err != nil {
		return done, err
	}
	held, i := make([]bool, n), 0
	p := Permutation{N: n, Seed: mix(seed ^ splitPurpose)}
	for k := range count {
		held[p.At(k)] = true
	}
	err = each(func(name string, it item) error {
		if it.err != nil {
			return fmt.Errorf("%s:%d: %w", name, it.line, it.err)
		}
		if i == n {
			return failure.Data("%s changed while it was read; start again", name)
		}
		to := train
		if done.Train++; held[i] {
			to = val
			done.Train--
			done.Val++
		}
		i++
		_, err := fmt.Fprintf(to, "%s\n", compact(it.json))
		return failure.As(failure.ErrIO, err)
	})
	return done, err
}

// compact takes the line ends out of a record that was written over several.
func compact(record []byte) []byte {
	var b bytes.Buffer
	if bytes.IndexByte(record, '\n') < 0 || json.Compact(&b, record) != nil {
		return bytes.TrimSpace(record)
	}
	return b.Bytes()
}

// heldOut is how many of n are held out for validation.
func heldOut(size float64, n int) (int, error) {
	if size < 0 || size >= 1 && size != math.Trunc(size) || size != size {
		return 0, failure.Config("val_set_size must be a part below 1 or a whole number of rows, got %v", size)
	}
	if size > 0 && size < 1 {
		size = max(1, math.Round(size*float64(n)))
	}
	if size >= float64(n) {
		return 0, failure.Data("val_set_size takes %.0f of %d rows and leaves none to train on", size, n)
	}
	return int(size), nil
}
