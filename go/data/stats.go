package data

import (
	"fmt"
	"math/bits"
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
	// Histogram is of the lengths.
	Histogram Histogram `json:"histogram"`
}

// Histogram counts the rows of each octave of lengths.
type Histogram []Octave

// Octave is the rows of From to To tokens.
type Octave struct {
	From int `json:"from"`
	To   int `json:"to"`
	Rows int `json:"rows"`
}

// String is a line with a bar for each octave.
func (h Histogram) String() string {
	var b strings.Builder
	most := 1
	for _, o := range h {
		most = max(most, o.Rows)
	}
	for _, o := range h {
		fmt.Fprintf(&b, "  %7d to %-7d %8d %s\n", o.From, o.To, o.Rows, strings.Repeat("█", (o.Rows*40+most-1)/most))
	}
	return b.String()
}

// histogram is of sorted lengths, without the empty octaves below and above.
func histogram(lengths []int) (h Histogram) {
	for _, n := range lengths {
		from := 1 << (bits.Len(uint(n)) - 1)
		for len(h) > 0 && h[len(h)-1].From < from {
			next := h[len(h)-1].From * 2
			h = append(h, Octave{From: next, To: 2*next - 1})
		}
		if len(h) == 0 {
			h = append(h, Octave{From: from, To: 2*from - 1})
		}
		h[len(h)-1].Rows++
	}
	return h
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
	s.Histogram = histogram(lengths) // which are sorted now
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
