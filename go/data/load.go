package data

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/graftlm/graft/go/failure"
)

// Options of Load.
type Options struct {
	Sources      []Source
	Encoder      Encoder
	MaxSeqLength int    // tokens; 0 is no limit
	OnOverflow   string // for longer rows: "error" (or ""), "truncate" the end, "drop" (counted)
	OnError      string // for bad records: "stop" (or ""), "skip" (counted)
	Stdin        io.Reader
}

// Report says what the sources held and what became of it.
type Report struct {
	Records    int          `json:"records"`
	Rows       int          `json:"rows"`
	Tokens     int          `json:"tokens"`
	Targets    int          `json:"target_tokens"`
	Longest    int          `json:"longest"` // tokens of a row, before any cut
	Forms      map[Form]int `json:"forms"`
	Blank      int          `json:"blank_lines"`
	Skipped    int          `json:"skipped"`     // bad records
	Truncated  int          `json:"truncated"`   // rows cut to the limit
	Dropped    int          `json:"dropped"`     // rows over the limit
	NoTarget   int          `json:"no_target"`   // rows that keep no trained token after the cut
	Straddling int          `json:"straddling"`  // tokens half inside a trained span, not trained
	EndTrained int          `json:"eos_trained"` // rows whose trained tokens have the end token among them
	// SpecialText counts records with the spelling of a special token in what
	// was written by hand, which is read as that token.
	SpecialText int      `json:"special_text"`
	Examples    []string `json:"examples,omitempty"` // the first few reasons of skipped records
}

// maxExamples bounds the reasons that a report holds.
const maxExamples = 10

// Load reads, parses, encodes and cuts. Errors name file and line; a bad record
// is an error of kind Data unless OnError is "skip". An empty result is an
// error, and so are rows that keep no trained token.
func Load(ctx context.Context, o Options) (*Rows, Report, error) {
	rows, report := newRows(), Report{Forms: map[Form]int{}}
	if err := o.check(); err != nil {
		return nil, report, err
	}
	l := loading{Options: o, rows: rows, report: &report, special: newSpecials(o.Encoder.Tokenizer)}
	if id, ok := o.Encoder.Tokenizer.ID(o.Encoder.EOS); ok {
		l.eos = id
	} else {
		l.eos = Masked
	}
	for _, s := range o.Sources {
		weight := s.Weight
		if weight == 0 {
			weight = 1
		}
		rows.begin(weight)
		before := rows.Len()
		blank, err := s.each(o.Stdin, func(name string, it item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return l.take(s, name, it)
		})
		report.Blank += blank
		if err != nil {
			return nil, report, err
		}
		if rows.Len() == before && report.NoTarget == 0 {
			return nil, report, failure.Data("%s: no examples (%d bad ones skipped, %d dropped for their length)", s.Path, report.Skipped, report.Dropped)
		}
	}
	if report.NoTarget > 0 {
		return nil, report, failure.Data("%d of %d examples keep no trained token at max_seq_length %d; raise it, or shorten the prompts", report.NoTarget, report.Records, o.MaxSeqLength)
	}
	return rows, report, nil
}

func (o Options) check() error {
	switch o.OnOverflow {
	case "", "error", "truncate", "drop":
	default:
		return failure.Config("on_overflow must be error, truncate or drop, got %q", o.OnOverflow)
	}
	switch o.OnError {
	case "", "stop", "skip":
	default:
		return failure.Config("on_error must be stop or skip, got %q", o.OnError)
	}
	switch o.Encoder.TrainOn {
	case "", TrainAssistant, TrainCompletion, TrainLast, TrainAll:
	default:
		return failure.Config("train_on must be assistant, completion, last or all, got %q", o.Encoder.TrainOn)
	}
	for _, s := range o.Sources {
		if s.Weight < 0 || s.Weight > MaxWeight || s.Weight != s.Weight {
			return failure.Config("%s: weight must be above 0 and at most %d, got %v", s.Path, MaxWeight, s.Weight)
		}
	}
	if len(o.Sources) == 0 {
		return failure.Config("data.train names no source")
	}
	return nil
}

type loading struct {
	Options
	rows    *Rows
	report  *Report
	eos     int32
	special specials
}

// take makes a row of one record.
func (l *loading) take(s Source, name string, it item) error {
	l.report.Records++
	err := it.err
	var record Record
	if err == nil {
		record, err = ParseRecord(it.json, s.Format)
	}
	var e Encoded
	if err == nil {
		l.report.Forms[record.Form]++
		e, err = l.Encoder.Encode(record)
	}
	if err != nil {
		err = fmt.Errorf("%s:%d: %w", name, it.line, err)
		if l.OnError != "skip" || !errors.Is(err, failure.ErrData) {
			return err
		}
		l.report.Skipped++
		if len(l.report.Examples) < maxExamples {
			l.report.Examples = append(l.report.Examples, err.Error())
		}
		return nil
	}
	if l.special.in(record, l.Encoder.EOS) {
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
			return failure.Data("%s:%d: %d tokens are more than max_seq_length %d; raise it, or set on_overflow to truncate or drop", name, it.line, len(e.IDs), l.MaxSeqLength)
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
	l.rows.add(Row{IDs: e.IDs, Labels: e.Labels, Source: name, Line: it.line})
	return nil
}
