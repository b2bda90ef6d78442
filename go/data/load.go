package data

import (
	"context"
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
			return l.push(ctx, s.Format, name, it)
		})
		// A bad record comes before what stopped the reading after it.
		if bad := l.flush(ctx); bad != nil {
			err = bad
		}
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
