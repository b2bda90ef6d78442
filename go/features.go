package graft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/go/train"
)

// extraction computes what a frozen base gives for each text, once, and keeps
// it in files that are named by the hash of base, texts and pooling.
type extraction struct {
	job    plan.Job
	plan   plan.Plan
	how    string // pooling
	dir    string // of the files
	width  int
	groups map[*data.Rows][][]int32
}

// extractionTokens is how many tokens go through the base at once, unless one
// text has more.
const extractionTokens = 4096

// prepareFeatures plans the extraction, and gives the method that is trained on
// features.
func (r *Run) prepareFeatures(how method.Extracting) (method.Method, error) {
	m := model.New(r.Base.Config)
	name, err := how.Extractor(m)
	if err != nil {
		return nil, err
	}
	if err := r.Base.check(m); err != nil {
		return nil, err
	}
	if err := m.Quantize(r.Base.Files, model.Quantization(r.Config.Model.Quant), r.Config.Model.Double); err != nil {
		return nil, err
	}
	x := &extraction{
		how: name, width: m.Outputs, groups: map[*data.Rows][][]int32{}, dir: r.Config.Method.FeatureCache,
		job: plan.Job{Model: m, Types: r.Base.Types, Profile: r.Backend.Profile()},
	}
	if x.dir == "" {
		x.dir = filepath.Join(r.Config.Train.OutputDir, "features")
	}
	var batches []data.MicroBatch
	for _, rows := range []*data.Rows{r.rows, r.held} {
		x.groups[rows] = rows.Groups(extractionTokens)
		for _, g := range x.groups[rows] {
			b, err := rows.Batch(g, extractionTokens)
			if err != nil {
				return nil, err
			}
			batches = append(batches, b)
		}
	}
	x.job.Eval = bucketsOf(batches)
	if x.plan, err = x.job.Count(); err != nil {
		return nil, err
	}
	r.extraction = x
	return how.OnFeatures(), nil
}

// FeaturePlan is what computing the features of a frozen base needs, before the
// plan of the training itself; nil if there is nothing to compute.
func (r *Run) FeaturePlan() *plan.Plan {
	if r.extraction == nil {
		return nil
	}
	return &r.extraction.plan
}

// BaseLen is the number of parameters of the base, whether they are loaded or
// not.
func (r *Run) BaseLen() int {
	if r.extraction != nil {
		return r.extraction.job.Model.BaseLen()
	}
	return r.Model.BaseLen()
}

// features gives a row of numbers for each row of the data, from the cache or
// from the base.
func (r *Run) features(ctx context.Context) (map[*data.Rows][]float32, error) {
	x := r.extraction
	known, missing := map[*data.Rows][]float32{}, []*data.Rows{}
	paths := map[*data.Rows]string{}
	base, err := r.Base.Files.Fingerprint()
	if err != nil {
		return nil, err
	}
	for _, rows := range []*data.Rows{r.rows, r.held} {
		if rows.Len() == 0 {
			continue
		}
		h := sha256.New()
		fmt.Fprintf(h, "%s %s %v %d %s %v ", base, x.how, x.job.Types, x.width, r.Config.Model.Quant, r.Config.Model.Double)
		for i := range rows.Len() {
			row, err := rows.Row(i)
			if err != nil {
				return nil, err
			}
			fmt.Fprintln(h, row.IDs)
		}
		paths[rows] = filepath.Join(x.dir, hex.EncodeToString(h.Sum(nil)[:16])+".safetensors")
		if known[rows], err = readFeatures(paths[rows], rows.Len(), x.width); err != nil {
			return nil, err
		}
		if known[rows] == nil {
			missing = append(missing, rows)
		}
	}
	if len(missing) == 0 {
		return known, nil
	}
	e, err := train.NewEngine(r.Backend, x.job, 0)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if err := r.Base.load(ctx, e, x.job.Model, nil, r.progress("loading the base")); err != nil {
		return nil, err
	}
	for _, rows := range missing {
		if known[rows], err = r.extract(ctx, e, rows); err != nil {
			return nil, err
		}
		if err := writeFeatures(paths[rows], known[rows], x.width); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func (r *Run) extract(ctx context.Context, e *train.Engine, rows *data.Rows) ([]float32, error) {
	x, tell := r.extraction, r.progress("computing features")
	all := make([]float32, 0, rows.Len()*x.width)
	for _, g := range x.groups[rows] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := rows.Batch(g, extractionTokens)
		if err != nil {
			return nil, err
		}
		b.Values = nil // the base asks for no labels
		out, err := e.Outputs(b)
		if err != nil {
			return nil, err
		}
		for i, v := range out[:len(g)*x.width] {
			if v-v != 0 {
				row, err := rows.Row(int(g[i/x.width]))
				if err != nil {
					return nil, err
				}
				return nil, failure.Data("%s:%d: the base gives %v for this text", row.Source, row.Line, v)
			}
		}
		all = append(all, out[:len(g)*x.width]...)
		tell(int64(len(all)/x.width), int64(rows.Len()))
	}
	return all, nil
}

func (r *Run) progress(what string) func(done, total int64) { return part(r.options.Progress, what) }

// readFeatures gives what a file of features has, nil if there is none. A file
// of another shape is no file of ours.
func readFeatures(path string, rows, width int) ([]float32, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	all, err := method.ReadTensors(path)
	if err != nil {
		return nil, err
	}
	if v := all["features"]; len(v) == rows*width {
		return v, nil
	}
	return nil, failure.Data("%s does not have %d features of %d numbers; remove it, and it is made again", path, rows, width)
}

func writeFeatures(path string, values []float32, width int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return failure.IO("%w", err)
	}
	t := method.Tensor("features", []int{len(values) / width, width}, values)
	return atomicfs.Stream(path, func(w io.Writer) error { return safetensors.Encode(w, []safetensors.Tensor{t}, nil) })
}

// featureBatches makes the batches of the run from features; without them, for
// their shapes alone.
func (r *Run) featureBatches(known map[*data.Rows][]float32) (err error) {
	width := r.extraction.width
	r.Batches = &featured{Loader: r.Loader, rows: r.rows, values: known[r.rows], width: width}
	if r.once != nil {
		r.Eval, err = (&featured{Loader: r.once, rows: r.held, values: known[r.held], width: width}).all()
	}
	return err
}

// featured gives the steps of a run over features.
type featured struct {
	*data.Loader
	rows   *data.Rows
	values []float32 // nil before they are known
	width  int
}

func (f *featured) Step(i int) (batches []data.MicroBatch, err error) {
	for _, g := range f.Documents(i) {
		b, err := f.rows.Featured(g, f.values, f.width)
		if err != nil {
			return nil, err
		}
		batches = append(batches, b)
	}
	return batches, nil
}

// all gives every micro-batch of the steps.
func (f *featured) all() (batches []data.MicroBatch, err error) {
	for i := range f.Steps() {
		step, err := f.Step(i)
		if err != nil {
			return nil, err
		}
		batches = append(batches, step...)
	}
	return batches, nil
}
