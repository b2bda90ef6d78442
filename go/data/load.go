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
	OnOverflow   string // for longer rows: "error" (or ""), "truncate" the end, "split", "drop" (counted)
	OnError      string // for bad records: "stop" (or ""), "skip" (counted)
	Stdin        io.Reader

	// Ends are further tokens that end an answer, beside Encoder.EOS; only the
	// Report knows them.
	Ends []int32
	// Decode, if set, is tried on each record: does it give back the text?
	Decode func(ids []int32) (string, error)
	// Cache is a directory in which the rows are kept, and from which the same
	// rows are taken again; "" is none. CacheKey stands for what makes the same
	// text the same rows: tokenizer and template. Without it nothing is cached.
	Cache, CacheKey string
	// Progress is told how many records are rows; their number in all is not
	// known, total is 0. It may be nil.
	Progress func(done, total int64)
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
	Untrained  int          `json:"untrained"`   // of these, records of which nothing would be trained
	Truncated  int          `json:"truncated"`   // rows cut to the limit
	Split      int          `json:"split"`       // records cut into rows of the limit
	Unused     int          `json:"unused"`      // rows of split records that have no trained token, left out
	Dropped    int          `json:"dropped"`     // rows over the limit
	TooLong    int          `json:"too_long"`    // rows over the limit, which Load refuses
	NoTarget   int          `json:"no_target"`   // rows that keep no trained token after the cut
	Straddling int          `json:"straddling"`  // trained tokens that are half outside of a trained span
	EndThere   int          `json:"eos_present"` // rows that have an end token where what is trained ends, or after it
	EndTrained int          `json:"eos_trained"` // rows whose trained tokens have an end token among them
	// UnknownRoles counts bad records by the role that is not known.
	UnknownRoles map[string]int `json:"unknown_roles,omitempty"`
	// NotReturned counts records whose text the tokenizer does not give back, of
	// those that were tried.
	NotReturned int `json:"not_returned"`
	// ToolsUnused counts conversations with tools that the template does not
	// write.
	ToolsUnused int `json:"tools_unused"`
	// SpecialText counts records with the spelling of a special token in what
	// was written by hand, which is read as that token.
	SpecialText int `json:"special_text"`
	// SpecialExample is the first of them: the token, file and line.
	SpecialExample string   `json:"special_example,omitempty"`
	Examples       []string `json:"examples,omitempty"` // the first few reasons of skipped records
	// Cache says where the rows came from or went: "read DIR", "written DIR", or
	// why neither.
	Cache string `json:"cache,omitempty"`
}

// maxExamples bounds the reasons that a report holds.
const maxExamples = 10

// Load reads, parses, encodes and cuts. Errors name file and line; a bad record
// is an error of kind Data unless OnError is "skip". An empty result is an
// error, and so are rows that keep no trained token. What is held in memory is
// a few bytes a row, whatever the size of the files. The rows are to be closed.
func Load(ctx context.Context, o Options) (*Rows, Report, error) {
	rows, report, err := o.cached(ctx, func(ctx context.Context) (*Rows, Report, error) { return o.read(ctx, false) })
	if err == nil && report.NoTarget > 0 {
		rows.Close()
		return nil, report, failure.Data("%d of %d examples keep no trained token at max_seq_length %d; raise it, or shorten the prompts", report.NoTarget, report.Records, o.MaxSeqLength)
	}
	return rows, report, err
}

// Survey reads everything as Load does, and goes on where Load would refuse:
// what is wrong is counted in the report, and left out of the rows. Only files
// that cannot be read, or that hold no record at all, are errors.
func Survey(ctx context.Context, o Options) (*Rows, Report, error) { return o.read(ctx, true) }

func (o Options) read(ctx context.Context, survey bool) (_ *Rows, report Report, err error) {
	report = Report{Forms: map[Form]int{}, UnknownRoles: map[string]int{}}
	if err := o.check(); err != nil {
		return nil, report, err
	}
	rows := newRows()
	defer func() {
		if err != nil {
			rows.Close()
		}
	}()
	l := loading{Options: o, survey: survey, rows: rows, report: &report, special: newSpecials(o.Encoder.Tokenizer), ends: o.Ends}
	if id, ok := o.Encoder.Tokenizer.ID(o.Encoder.EOS); ok {
		l.ends = append(l.ends[:len(l.ends):len(l.ends)], id)
	}
	for _, s := range o.Sources {
		weight := s.Weight
		if weight == 0 {
			weight = 1
		}
		rows.begin(weight)
		before, records := rows.Len(), report.Records
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
		if report.Records == records || rows.Len() == before && report.NoTarget == 0 && !survey {
			return nil, report, failure.Data("%s: no examples (%d bad ones skipped, %d dropped for their length)", s.Path, report.Skipped, report.Dropped)
		}
	}
	return rows, report, rows.tokens.finish()
}

func (o Options) check() error {
	switch o.OnOverflow {
	case "", "error", "truncate", "split", "drop":
	default:
		return failure.Config("on_overflow must be error, truncate, split or drop, got %q", o.OnOverflow)
	}
	if o.OnOverflow == "split" && o.MaxSeqLength == 1 {
		return failure.Config("on_overflow: split needs max_seq_length of at least 2")
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
