package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
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
	var keep bytes.Buffer
	err := readMetrics(dir, func(e Event, line []byte) {
		if e.Step <= step {
			keep.Write(line)
			keep.WriteByte('\n')
		}
	})
	if err != nil {
		return nil, err
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
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = m.f.Write(append(line, '\n'))
	return failure.As(failure.ErrIO, err)
}

func (m *metrics) Sync() error  { return failure.As(failure.ErrIO, m.f.Sync()) }
func (m *metrics) Close() error { return m.f.Close() }

// ReadMetrics reads metrics.jsonl of a run directory; none if it is not there.
// A last line that a killed run left unfinished is passed over.
func ReadMetrics(dir string) (all []Event, err error) {
	err = readMetrics(dir, func(e Event, _ []byte) { all = append(all, e) })
	return all, err
}

// readMetrics gives each record, and the line that it is.
func readMetrics(dir string, each func(Event, []byte)) error {
	f, err := os.Open(filepath.Join(dir, MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return failure.IO("%w", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e Event
		if json.Unmarshal(s.Bytes(), &e) == nil {
			each(e, s.Bytes())
		}
	}
	return nil
}
