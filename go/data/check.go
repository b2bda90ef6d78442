package data

import (
	"fmt"
	"slices"
	"strings"
)

// Stats describes the rows of a list.
type Stats struct {
	Rows    int            `json:"rows"`
	Tokens  int            `json:"tokens"`
	Targets int            `json:"target_tokens"`
	Lengths Quantiles      `json:"lengths"`        // tokens of a row
	Trained Quantiles      `json:"trained"`        // target tokens of a row
	Sources map[string]int `json:"rows_by_source"` // rows of each file
}

// Quantiles are by nearest rank.
type Quantiles struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	P90    int `json:"p90"`
	P99    int `json:"p99"`
	Max    int `json:"max"`
}

// Stats counts.
func (r *Rows) Stats() Stats {
	s := Stats{Rows: r.Len(), Sources: map[string]int{}}
	lengths, trained := make([]int, r.Len()), make([]int, r.Len())
	for i := range r.Len() {
		lengths[i], trained[i] = r.Tokens(i), r.Targets(i)
		s.Tokens += lengths[i]
		s.Targets += trained[i]
		s.Sources[r.source(i)]++
	}
	s.Lengths, s.Trained = quantiles(lengths), quantiles(trained)
	return s
}

func quantiles(v []int) Quantiles {
	if len(v) == 0 {
		return Quantiles{}
	}
	slices.Sort(v)
	rank := func(percent int) int { return v[max((len(v)*percent+99)/100-1, 0)] }
	return Quantiles{Min: v[0], Median: rank(50), P90: rank(90), P99: rank(99), Max: v[len(v)-1]}
}

// Check is what there is to know about data before training on it.
type Check struct {
	Report     Report   `json:"report"`
	Train      Stats    `json:"train"`
	Eval       Stats    `json:"eval"`
	Duplicates int      `json:"duplicates"` // training rows that occurred before
	Overlap    int      `json:"overlap"`    // evaluation rows that are also trained
	Warnings   []string `json:"warnings"`
}

// CheckRows looks at loaded data. eval may be nil. Each warning is a sentence
// with its count; nothing of it stops a run.
func CheckRows(report Report, train, eval *Rows) Check {
	c := Check{Report: report, Train: train.Stats(), Duplicates: train.Duplicates()}
	if eval != nil {
		c.Eval, c.Overlap = eval.Stats(), eval.Overlap(train)
	}
	warn := func(n int, format string) {
		if n > 0 {
			c.Warnings = append(c.Warnings, fmt.Sprintf(format, n))
		}
	}
	warn(report.Skipped, "%d bad records were skipped")
	warn(report.Dropped, "%d rows longer than max_seq_length were dropped")
	warn(report.Truncated, "%d rows were cut to max_seq_length; what they end with is not trained")
	warn(report.Straddling, "%d tokens lie half inside a trained span and are not trained; put the space at the start of the completion")
	warn(report.SpecialText, "%d records have the text of a special token in what was written by hand, and it is read as that token")
	warn(report.Rows-report.EndTrained, "%d rows train no end token; a model that never learns to end does not stop")
	warn(c.Duplicates, "%d training rows are duplicates")
	warn(c.Overlap, "%d evaluation rows are also trained on")
	return c
}

// String is a table for a person.
func (c Check) String() string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		fmt.Fprintf(&b, "%-14s "+format+"\n", append([]any{name}, a...)...)
	}
	line("records", "%d", c.Report.Records)
	for _, part := range []struct {
		name string
		s    Stats
	}{{"train", c.Train}, {"eval", c.Eval}} {
		if s := part.s; s.Rows > 0 {
			line(part.name, "%d rows, %d tokens, %d of them trained (%.1f %%)", s.Rows, s.Tokens, s.Targets, 100*float64(s.Targets)/float64(s.Tokens))
			line("  tokens", "%d to %d, median %d, 90 %% up to %d, 99 %% up to %d", s.Lengths.Min, s.Lengths.Max, s.Lengths.Median, s.Lengths.P90, s.Lengths.P99)
			line("  trained", "%d to %d, median %d", s.Trained.Min, s.Trained.Max, s.Trained.Median)
		}
	}
	for _, w := range c.Warnings {
		line("warning", "%s", w)
	}
	for _, e := range c.Report.Examples {
		line("skipped", "%s", e)
	}
	return b.String()
}
