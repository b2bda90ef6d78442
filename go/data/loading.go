package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/graftlm/graft/go/failure"
)

// Records are encoded in batches of so many, or of so many bytes.
const (
	batchRecords = 512
	batchBytes   = 8 << 20
)

// loading reads records one by one, encodes a batch on all cores, and takes
// the results in order, so that the outcome does not depend on their number.
type loading struct {
	Options
	rows    *Rows
	report  *Report
	eos     int32
	special specials
	pending []pending
	bytes   int // of pending records
}

// pending is a record on its way to a row.
type pending struct {
	item
	name    string
	form    Form
	record  Record
	encoded Encoded
	special bool
}

func (l *loading) push(ctx context.Context, form Form, name string, it item) error {
	it.json = bytes.Clone(it.json)
	l.pending = append(l.pending, pending{item: it, name: name, form: form})
	l.bytes += len(it.json)
	if len(l.pending) < batchRecords && l.bytes < batchBytes {
		return nil
	}
	return l.flush(ctx)
}

func (l *loading) flush(ctx context.Context) error {
	batch := l.pending
	l.pending, l.bytes = l.pending[:0], 0
	defer clear(batch)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(batch)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batch) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				l.encode(&batch[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range batch {
		if err := l.take(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) encode(p *pending) {
	if p.err != nil {
		return
	}
	if p.record, p.err = ParseRecord(p.json, p.form); p.err != nil {
		p.record.Form = ""
		return
	}
	p.special = l.special.in(p.record, l.Encoder.EOS)
	p.encoded, p.err = l.Encoder.Encode(p.record)
}

// take makes a row of one record, in the order of the files.
func (l *loading) take(p pending) error {
	l.report.Records++
	if p.record.Form != "" {
		l.report.Forms[p.record.Form]++
	}
	if p.err != nil {
		err := fmt.Errorf("%s:%d: %w", p.name, p.line, p.err)
		if l.OnError != "skip" || !errors.Is(err, failure.ErrData) {
			return err
		}
		l.report.Skipped++
		if len(l.report.Examples) < maxExamples {
			l.report.Examples = append(l.report.Examples, err.Error())
		}
		return nil
	}
	e := p.encoded
	if p.special {
		l.report.SpecialText++
	}
	l.report.Straddling += e.Straddling
	l.report.Longest = max(l.report.Longest, len(e.IDs))
	if l.MaxSeqLength > 0 && len(e.IDs) > l.MaxSeqLength {
		switch l.OnOverflow {
		case "truncate":
			l.report.Truncated++
			e.IDs, e.Labels = e.IDs[:l.MaxSeqLength], e.Labels[:l.MaxSeqLength]
		case "drop":
			l.report.Dropped++
			return nil
		default:
			return failure.Data("%s:%d: %d tokens are more than max_seq_length %d; raise it, or set on_overflow to truncate or drop", p.name, p.line, len(e.IDs), l.MaxSeqLength)
		}
	}
	targets := e.Targets()
	if targets == 0 {
		l.report.NoTarget++
		return nil
	}
	l.report.Rows++
	l.report.Tokens += len(e.IDs)
	l.report.Targets += targets
	for _, label := range e.Labels {
		if label != Masked && label == l.eos {
			l.report.EndTrained++
			break
		}
	}
	l.rows.add(Row{IDs: e.IDs, Labels: e.Labels, Source: p.name, Line: p.line})
	return nil
}
