package data

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check is what there is to know about data before training on it.
type Check struct {
	Report     Report   `json:"report"`
	Train      Stats    `json:"train"`
	Eval       Stats    `json:"eval"`
	Duplicates int      `json:"duplicates"` // training rows that occurred before
	Overlap    int      `json:"overlap"`    // evaluation rows that are also trained
	Warnings   []string `json:"warnings"`
	Refused    []string `json:"refused"` // why training would not start

	Labels map[string]int `json:"labels,omitempty"` // training rows of each class
}

// Refuse adds a reason for which training would not start, or one that was
// waived to the warnings.
func (c *Check) Refuse(reason string, waived bool) {
	if waived {
		c.Warnings = append(c.Warnings, reason)
	} else {
		c.Refused = append(c.Refused, reason)
	}
}

// Refusals are the faults for which Load would not give rows, where a bad
// record stops it or not.
func (r Report) Refusals(stop bool) (reasons []string) {
	refuse := func(n int, text string) {
		if n > 0 {
			reasons = append(reasons, fmt.Sprintf(text, n))
		}
	}
	if stop {
		refuse(r.Skipped, "%d records cannot be used; mend them, or leave them out with on_error: skip")
	}
	refuse(r.TooLong, "%d rows are longer than max_seq_length; raise it, or set on_overflow to truncate, split or drop")
	refuse(r.NoTarget, "%d rows keep no trained token within max_seq_length; raise it, or shorten the prompts")
	if r.Rows == 0 {
		refuse(r.Records, "no row of %d records is left to train on")
	}
	return reasons
}

// CheckRows looks at loaded data. eval may be nil. Each warning is a sentence
// with its count; nothing of it stops a run.
func CheckRows(report Report, train, eval *Rows) Check {
	c := Check{Report: report, Train: train.Stats(), Duplicates: train.Duplicates(), Warnings: []string{}, Refused: []string{}}
	if eval != nil && eval.Len() > 0 {
		c.Eval, c.Overlap = eval.Stats(), eval.Overlap(train)
	}
	warn := func(n int, format string) {
		if n > 0 {
			c.Warnings = append(c.Warnings, fmt.Sprintf(format, n))
		}
	}
	warn(report.Skipped, "%d bad records were skipped")
	warn(report.Untrained, "%d of them have no token that would be trained")
	for _, role := range slices.Sorted(maps.Keys(report.UnknownRoles)) {
		warn(report.UnknownRoles[role], "%d of them have the unknown role "+strings.ReplaceAll(fmt.Sprintf("%.40q", role), "%", "%%"))
	}
	warn(report.Dropped, "%d rows longer than max_seq_length were dropped")
	warn(report.Truncated, "%d rows were cut to max_seq_length; what they end with is not trained")
	warn(report.Unused, "%d pieces of split records have nothing trained and were left out")
	warn(report.Straddling, "%d trained tokens lie half inside of what is not trained; put the space at the start of the completion")
	warn(report.SpecialText, "%d records spell a special token in their text, the first "+strings.ReplaceAll(report.SpecialExample, "%", "%%")+": the tokenizer reads it as the token itself, as in transformers and TRL; write it otherwise if it is meant as text")
	warn(report.ToolsUnused, "%d conversations have tools, which the template does not write; use one that does, as qwen3")
	warn(report.NotReturned, "%d records do not come back from the tokenizer as they were")
	if train.Labelled() {
		c.Labels = train.Counts()
		c.unbalanced()
	} else {
		warn(report.Rows-report.EndTrained, "%d rows train no end token; a model that never learns to end does not stop")
	}
	warn(c.Duplicates, "%d training rows are duplicates")
	warn(c.Overlap, "%d evaluation rows are also trained on")
	return c
}

// unbalanced warns of classes with few rows.
func (c *Check) unbalanced() {
	const few = 8
	var rare []string
	most := 0
	for name, n := range c.Labels {
		if n < few {
			rare = append(rare, name)
		}
		most = max(most, n)
	}
	slices.Sort(rare)
	if len(rare) > 0 && most >= few {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d of %d labels have fewer than %d training rows: %s", len(rare), len(c.Labels), few, some(rare)))
	}
	if rows := c.Train.Rows; len(c.Labels) > 1 && 10*most > 9*rows {
		c.Warnings = append(c.Warnings, fmt.Sprintf("one label has %d of %d training rows; look at macro F1, not at accuracy", most, rows))
	}
}

// String is a table for a person.
func (c Check) String() string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		fmt.Fprintf(&b, "%-14s "+format+"\n", append([]any{name}, a...)...)
	}
	r := c.Report
	line("records", "%d", r.Records)
	for _, form := range slices.Sorted(maps.Keys(r.Forms)) {
		line("  "+string(form), "%d", r.Forms[form])
	}
	if r.Skipped > 0 {
		line("  bad", "%d", r.Skipped)
	}
	for _, part := range []struct {
		name string
		s    Stats
	}{{"train", c.Train}, {"eval", c.Eval}} {
		if s := part.s; s.Rows > 0 {
			line(part.name, "%d rows, %d tokens, %d of them trained (%.1f %%)", s.Rows, s.Tokens, s.Targets, 100*float64(s.Targets)/float64(s.Tokens))
			line("  tokens", "%d to %d, median %d, 90 %% up to %d, 99 %% up to %d", s.Lengths.Min, s.Lengths.Max, s.Lengths.Median, s.Lengths.P90, s.Lengths.P99)
			line("  trained", "%d to %d, median %d", s.Trained.Min, s.Trained.Max, s.Trained.Median)
			b.WriteString(s.Histogram.String())
		}
	}
	line("no target", "%d records, and %d rows within max_seq_length", r.Untrained, r.NoTarget)
	line("end token", "present in %d rows, trained in %d", r.EndThere, r.EndTrained)
	line("duplicates", "%d", c.Duplicates)
	line("overlap", "%d evaluation rows are also trained on", c.Overlap)
	for _, w := range c.Warnings {
		line("warning", "%s", w)
	}
	for _, e := range r.Examples {
		line("bad", "%s", e)
	}
	for _, reason := range c.Refused {
		line("refused", "%s", reason)
	}
	return b.String()
}
