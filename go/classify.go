package graft

import (
	"context"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
)

// ClassifierOptions says how a base is opened with its head.
type ClassifierOptions struct {
	Model     string // directory
	Head      string // directory, as a run with method.type head leaves it
	Device    string
	Threads   int
	DType     string
	MaxTokens int // longer texts are cut; 0: 512, or what the model was made for
	Backend   bindings.Backend
	Progress  func(what string, done, total int64)
	Compiling func(bindings.Compiled) // as in Options
}

// Classifier is a base with a head, opened.
type Classifier struct {
	Base   *Base
	Labels data.Labels

	engine  *train.Engine
	encoder data.Encoder
	limit   int
	shapes  []nn.Bucket // from the smallest
}

// Prediction is what a head says of one text.
type Prediction struct {
	Label  string             `json:"label,omitempty"`  // the likeliest class, where there is one
	Labels []string           `json:"labels,omitempty"` // those above one half, where there may be several
	Scores map[string]float64 `json:"scores,omitempty"` // probabilities
	Values []float64          `json:"values,omitempty"` // of a regression
	Cut    bool               `json:"cut,omitempty"`    // the text was longer than the limit
}

// OpenClassifier loads a base and a head.
func OpenClassifier(ctx context.Context, o ClassifierOptions) (*Classifier, error) {
	b, err := OpenBase(o.Model, o.DType)
	if err != nil {
		return nil, err
	}
	c, err := openClassifier(ctx, b, o)
	if err != nil {
		b.Close()
	}
	return c, err
}

func openClassifier(ctx context.Context, b *Base, o ClassifierOptions) (c *Classifier, err error) {
	if b.Tokenizer == nil {
		return nil, failure.NoInput("%s has no tokenizer.json, which reading texts needs", b.Dir)
	}
	m := model.New(b.Config)
	how, values, err := Attach(m, o.Head, 1)
	if err != nil {
		return nil, err
	}
	l, ok := how.(method.Labelled)
	if !ok {
		return nil, failure.Data("%s is a %s adapter, which has no head; use generate or chat", o.Head, how.Name())
	}
	if o.Backend == nil {
		if o.Backend, err = device.Open(o.Device, o.Threads); err != nil {
			return nil, err
		}
	}
	announce(o.Backend, o.Compiling)
	if err := m.Check(b.Files); err != nil {
		return nil, err
	}
	c = &Classifier{Base: b, Labels: l.Wanted(), encoder: data.Encoder{Tokenizer: b.Tokenizer, Labelled: true}, limit: o.MaxTokens}
	if c.limit == 0 {
		c.limit = min(512, b.Config.MaxPositions)
	}
	if c.limit > b.Config.MaxPositions {
		return nil, failure.Usage("%d tokens are beyond max_position_embeddings %d of %s", c.limit, b.Config.MaxPositions, b.Dir)
	}
	c.shapes = shapes(max(c.limit, 1024))
	job := plan.Job{Model: m, Types: b.Types, Profile: o.Backend.Profile(), Eval: c.shapes}
	if c.engine, err = train.NewEngine(o.Backend, job, 0); err != nil {
		return nil, err
	}
	if err := b.load(ctx, c.engine, m, values, part(o.Progress, "loading the model")); err != nil {
		c.engine.Close()
		return nil, err
	}
	return c, nil
}

// shapes are the micro-batches that texts go into, from the smallest.
func shapes(most int) (all []nn.Bucket) {
	for tokens := 64; ; tokens *= 2 {
		for _, n := range []int{2, 8, 32} {
			all = append(all, nn.Bucket{Tokens: min(tokens, most), Sequences: n, Targets: n})
		}
		if tokens >= most {
			return all
		}
	}
}

// Classify gives a prediction for each text.
func (c *Classifier) Classify(ctx context.Context, texts []string) ([]Prediction, error) {
	out := make([]Prediction, 0, len(texts))
	var rows []data.Row
	var cuts []bool
	tokens := 0
	most := c.shapes[len(c.shapes)-1]
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		logits, err := c.engine.Outputs(data.Flatten(rows).Fill(data.Bucket(c.shape(tokens, len(rows)))))
		if err != nil {
			return err
		}
		n := len(c.Labels.Names)
		for i := range rows {
			p := predict(c.Labels, logits[i*n:(i+1)*n])
			p.Cut = cuts[i]
			out = append(out, p)
		}
		rows, cuts, tokens = nil, nil, 0
		return nil
	}
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row, cut, err := c.encoder.Unlabelled(text, c.limit, c.width())
		if err != nil {
			return nil, failure.Data("text %d: %w", i+1, err)
		}
		// One sequence of a shape is left for what fills it.
		if tokens+len(row.IDs) > most.Tokens || len(rows)+1 >= most.Sequences {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		rows, cuts, tokens = append(rows, row), append(cuts, cut), tokens+len(row.IDs)
	}
	return out, flush()
}

// width is the number of values that the loss wants for a sequence.
func (c *Classifier) width() int { return c.engine.Model.Row.Values }

// shape is the smallest that holds so many tokens and sequences.
func (c *Classifier) shape(tokens, sequences int) nn.Bucket {
	for _, b := range c.shapes {
		if b.Tokens >= tokens && b.Sequences > sequences {
			return b
		}
	}
	return c.shapes[len(c.shapes)-1]
}

// predict reads logits.
func predict(l data.Labels, logits []float32) Prediction {
	p := Prediction{}
	if l.Task == data.Regression {
		for _, v := range logits {
			p.Values = append(p.Values, float64(v))
		}
		return p
	}
	p.Scores = map[string]float64{}
	best, sum := 0, 0.0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	for _, v := range logits {
		sum += math.Exp(float64(v - logits[best]))
	}
	for i, v := range logits {
		name := l.Names[i]
		if l.Task == data.SingleLabel {
			p.Scores[name] = math.Exp(float64(v-logits[best])) / sum
			continue
		}
		p.Scores[name] = 1 / (1 + math.Exp(-float64(v)))
		if v > 0 {
			p.Labels = append(p.Labels, name)
		}
	}
	if l.Task == data.SingleLabel {
		p.Label = l.Names[best]
	}
	return p
}

// Close releases the device and the files.
func (c *Classifier) Close() error {
	err := c.engine.Close()
	c.Base.Close()
	return err
}
