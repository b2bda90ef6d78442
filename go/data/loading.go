package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	survey  bool // go on after faults, and count them
	rows    *Rows
	report  *Report
	ends    []int32
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
	special string // a special token that is spelled in the text
	lost    bool   // the tokenizer does not give the text back
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
	if l.Progress != nil {
		l.Progress(int64(l.report.Records), 0)
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
	if p.encoded, p.err = l.Encoder.Encode(p.record); p.err == nil && l.Decode != nil {
		p.lost = !p.encoded.returns(l.Decode)
	}
}

// take makes a row of one record, in the order of the files.
func (l *loading) take(p pending) error {
	l.report.Records++
	if p.record.Form != "" {
		l.report.Forms[p.record.Form]++
	}
	if p.err != nil {
		return l.bad(fmt.Errorf("%s:%d: %w", p.name, p.line, p.err))
	}
	e := p.encoded
	if p.special != "" {
		if l.report.SpecialText++; l.report.SpecialText == 1 {
			l.report.SpecialExample = fmt.Sprintf("%s at %s:%d", p.special, p.name, p.line)
		}
	}
	if p.lost {
		l.report.NotReturned++
	}
	if t := l.Encoder.Template; t != nil && len(p.record.Conversation.Tools) > 0 && !t.WritesTools() {
		l.report.ToolsUnused++
	}
	l.report.Straddling += e.Straddling
	l.report.Longest = max(l.report.Longest, len(e.IDs))
	row := Row{IDs: e.IDs, Labels: e.Labels, Source: p.name, Line: p.line, Adapter: p.record.Adapter}
	if l.Encoder.Labelled {
		row.label = &label{p.record.Classes, p.record.Listed, p.record.Numbers}
	}
	if l.MaxSeqLength == 0 || len(e.IDs) <= l.MaxSeqLength {
		return l.keep(row, &l.report.NoTarget)
	}
	switch l.OnOverflow {
	case "truncate":
		l.report.Truncated++
		e = e.cut(l.MaxSeqLength)
		row.IDs, row.Labels = e.IDs, e.Labels
		return l.keep(row, &l.report.NoTarget)
	case "split":
		if l.Encoder.Labelled {
			return failure.Config("data.on_overflow: split, but a piece of a text has no label of its own; use truncate or drop")
		}
		l.report.Split++
		return l.split(row)
	case "drop":
		l.report.Dropped++
		return nil
	}
	err := failure.Data("%s:%d: %d tokens are more than max_seq_length %d; raise it, or set on_overflow to truncate, split or drop", p.name, p.line, len(e.IDs), l.MaxSeqLength)
	if l.survey {
		l.report.TooLong++
		l.example(err)
		return nil
	}
	return err
}

// bad counts a bad record, or ends the loading.
func (l *loading) bad(err error) error {
	if l.OnError != "skip" && !l.survey || !errors.Is(err, failure.ErrData) {
		return err
	}
	l.report.Skipped++
	if errors.Is(err, errUntrained) {
		l.report.Untrained++
	}
	var role unknownRole
	if errors.As(err, &role) {
		l.report.UnknownRoles[string(role)]++
	}
	l.example(err)
	return nil
}

func (l *loading) example(err error) {
	if len(l.report.Examples) < maxExamples {
		l.report.Examples = append(l.report.Examples, err.Error())
	}
}

// split cuts a row into pieces of the limit. Each piece begins with the token
// that the one before ended with, so that every trained token is a target once.
func (l *loading) split(row Row) error {
	for start := 0; start < len(row.IDs)-1; start += l.MaxSeqLength - 1 {
		end := min(start+l.MaxSeqLength, len(row.IDs))
		piece := Row{IDs: row.IDs[start:end], Labels: append([]int32{Masked}, row.Labels[start+1:end]...), Source: row.Source, Line: row.Line, Adapter: row.Adapter}
		if err := l.keep(piece, &l.report.Unused); err != nil {
			return err
		}
	}
	return nil
}

// keep adds a row that trains something, or counts it as one that does not.
func (l *loading) keep(row Row, untrained *int) error {
	targets, last, trained := 0, 0, false
	for i, label := range row.Labels {
		if label != Masked {
			targets, last = targets+1, i
			trained = trained || slices.Contains(l.ends, label)
		}
	}
	if row.label != nil {
		targets = 1
	}
	if targets == 0 {
		*untrained++
		return nil
	}
	l.report.Rows++
	l.report.Tokens += len(row.IDs)
	l.report.Targets += targets
	if slices.ContainsFunc(row.IDs[last:], func(id int32) bool { return slices.Contains(l.ends, id) }) || trained {
		l.report.EndThere++
	}
	if trained {
		l.report.EndTrained++
	}
	return l.rows.add(row)
}
