package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
)

// MetricsFile has one JSON object a step.
const MetricsFile = "metrics.jsonl"

// metrics appends to metrics.jsonl.
type metrics struct{ f *os.File }

// openMetrics opens the file for appending, after cutting off what a run that
// was killed wrote past its checkpoint.
func openMetrics(dir string, step int) (*metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	old, err := ReadMetrics(dir)
	if err != nil {
		return nil, err
	}
	var keep bytes.Buffer
	for _, e := range old {
		if e.Step <= step {
			line, err := encodeEvent(e)
			if err != nil {
				return nil, err
			}
			keep.Write(line)
		}
	}
	if err := atomicfs.WriteFile(path, keep.Bytes()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	return &metrics{f}, nil
}

func (m *metrics) Write(e Event) error {
	line, err := encodeEvent(e)
	if err != nil {
		return err
	}
	_, err = m.f.Write(line)
	return failure.As(failure.ErrIO, err)
}

func (m *metrics) Sync() error  { return failure.As(failure.ErrIO, m.f.Sync()) }
func (m *metrics) Close() error { return m.f.Close() }

// encodeEvent is a line of JSON. JSON has no NaN: what is not finite is null.
func encodeEvent(e Event) ([]byte, error) {
	type finite struct {
		Event
		Loss     *float64 `json:"loss"`
		GradNorm *float64 `json:"grad_norm"`
	}
	number := func(f float64) *float64 {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
		return &f
	}
	line, err := json.Marshal(finite{e, number(e.Loss), number(e.GradNorm)})
	return append(line, '\n'), err
}

// ReadMetrics reads metrics.jsonl of a run directory; none if it is not there.
// A last line that a killed run left unfinished is passed over.
func ReadMetrics(dir string) ([]Event, error) {
	f, err := os.Open(filepath.Join(dir, MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, failure.IO("%w", err)
	}
	defer f.Close()
	var all []Event
	for s := bufio.NewScanner(f); s.Scan(); {
		var e Event
		if json.Unmarshal(s.Bytes(), &e) == nil {
			all = append(all, e)
		}
	}
	return all, nil
}
