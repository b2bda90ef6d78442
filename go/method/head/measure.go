package head

import (
	"math"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/method"
)

// Measure collects what a head says of labelled texts.
type Measure struct {
	labels    data.Labels
	confusion [][]int // of single labels: [label][answer]
	counts    []Counts
	rows      int
	exact     int // rows whose answer is right in every class
	square    float64
	absolute  float64
	sum, sum2 []float64 // of the true numbers
}

// Counts are the answers for one class against all others.
type Counts struct {
	Label         string  `json:"label"`
	TruePositive  int     `json:"true_positive"`
	FalsePositive int     `json:"false_positive"`
	FalseNegative int     `json:"false_negative"`
	Precision     float64 `json:"precision"`
	Recall        float64 `json:"recall"`
	F1            float64 `json:"f1"`
}

// Evaluation is the outcome, as result.json and graft eval have it.
type Evaluation struct {
	Task      data.Task                `json:"task"`
	Rows      int                      `json:"rows"`
	Measures  map[string]finite.Number `json:"measures"`
	Classes   []Counts                 `json:"classes,omitempty"`
	Confusion [][]int                  `json:"confusion,omitempty"` // [label][answer], in the order of classes
}

// NewMeasure begins to collect.
func NewMeasure(l data.Labels) *Measure {
	n := len(l.Names)
	m := &Measure{labels: l, counts: make([]Counts, n), sum: make([]float64, n), sum2: make([]float64, n)}
	for i := range m.counts {
		m.counts[i].Label = l.Names[i]
	}
	if l.Task == data.SingleLabel {
		m.confusion = make([][]int, n)
		for i := range m.confusion {
			m.confusion[i] = make([]int, n)
		}
	}
	return m
}

// Add takes the logits [sequences, C] of a micro-batch.
func (m *Measure) Add(b data.MicroBatch, logits []float32) {
	n := len(m.labels.Names)
	for s, w := range b.Weights {
		if w == 0 {
			continue
		}
		m.rows++
		z := logits[s*n : (s+1)*n]
		switch m.labels.Task {
		case data.SingleLabel:
			m.single(int(b.Targets[s]), argmax(z))
		case data.MultiLabel:
			m.several(b.Values[s*n:], z)
		default:
			m.numbers(b.Values[s*n:], z)
		}
	}
}

func argmax(z []float32) int {
	best := 0
	for i, v := range z {
		if v > z[best] {
			best = i
		}
	}
	return best
}

func (m *Measure) single(label, answer int) {
	m.confusion[label][answer]++
	if label == answer {
		m.exact++
		m.counts[label].TruePositive++
		return
	}
	m.counts[label].FalseNegative++
	m.counts[answer].FalsePositive++
}

func (m *Measure) several(want, z []float32) {
	right := true
	for c, v := range z {
		switch yes := want[c] > 0.5; {
		case yes && v > 0:
			m.counts[c].TruePositive++
		case yes:
			m.counts[c].FalseNegative++
			right = false
		case v > 0:
			m.counts[c].FalsePositive++
			right = false
		}
	}
	if right {
		m.exact++
	}
}

func (m *Measure) numbers(want, z []float32) {
	for c, v := range z {
		y := float64(want[c])
		d := float64(v) - y
		m.square, m.absolute = m.square+d*d, m.absolute+math.Abs(d)
		m.sum[c], m.sum2[c] = m.sum[c]+y, m.sum2[c]+y*y
	}
}

// Result gives the measures, and the whole. Precision, recall and F1 of a class
// without answers or without rows are 0, as scikit-learn has them; the macro F1
// is over the classes that have either.
func (m *Measure) Result() (map[string]float64, any) {
	e, measures := Evaluation{Task: m.labels.Task, Rows: m.rows}, map[string]float64{}
	rows := max(float64(m.rows), 1)
	if m.labels.Task == data.Regression {
		n := rows * float64(len(m.labels.Names))
		spread := 0.0
		for c := range m.sum {
			spread += m.sum2[c] - m.sum[c]*m.sum[c]/rows
		}
		measures["mse"], measures["mae"] = m.square/n, m.absolute/n
		if spread > 0 {
			measures["r2"] = 1 - m.square/spread
		}
		e.Measures = finite.Map(measures)
		return measures, e
	}
	var all Counts
	macro, present := 0.0, 0
	for _, c := range m.counts {
		c.finish()
		e.Classes = append(e.Classes, c)
		all.TruePositive += c.TruePositive
		all.FalsePositive += c.FalsePositive
		all.FalseNegative += c.FalseNegative
		if c.TruePositive+c.FalsePositive+c.FalseNegative > 0 {
			macro, present = macro+c.F1, present+1
		}
	}
	all.finish()
	e.Confusion = m.confusion
	measures["accuracy"] = float64(m.exact) / rows
	measures["macro_f1"], measures["micro_f1"] = macro/max(float64(present), 1), all.F1
	e.Measures = finite.Map(measures)
	return measures, e
}

func (c *Counts) finish() {
	ratio := func(a, b int) float64 {
		if b == 0 {
			return 0
		}
		return float64(a) / float64(b)
	}
	c.Precision = ratio(c.TruePositive, c.TruePositive+c.FalsePositive)
	c.Recall = ratio(c.TruePositive, c.TruePositive+c.FalseNegative)
	c.F1 = ratio(2*c.TruePositive, 2*c.TruePositive+c.FalsePositive+c.FalseNegative)
}

// Measure begins to collect what the head says.
func (c Config) Measure() method.Measure { return NewMeasure(c.Labels) }
