package graft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/optim"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/tokenizer"
)

// Options of Prepare.
type Options struct {
	// Backend overrides the device of the configuration, for programs that
	// bring their own.
	Backend bindings.Backend
	// Progress is told of loading; it may be nil.
	Progress func(what string, done, total int64)
	Stdin    io.Reader // for a data source "-"
}

// Run is a configured run: its data read, its model built, its memory planned,
// and nothing allocated on a device yet.
type Run struct {
	Config  *config.Config
	Base    *Base
	Model   *model.Model
	Method  method.Method
	Backend bindings.Backend
	Plan    plan.Plan
	Job     plan.Job
	Data    data.Report // of the training sources
	Loader  *data.Loader
	Eval    []data.MicroBatch
	Overlap int // records that are in both

	records  *Records
	rows     *data.Rows
	held     *data.Rows // for evaluation
	schedule optim.Schedule
	initial  map[string][]float32 // of method.init_from
	identity map[string]string
	options  Options
}

// Prepare reads the data, checks it, builds the model and plans its memory. It
// fails on everything that can be known before the first step.
func Prepare(ctx context.Context, c *config.Config, o Options) (*Run, error) {
	if err := c.Require("model.path", "data.train"); err != nil {
		return nil, err
	}
	r := &Run{Config: c, options: o}
	var err error
	if r.Base, err = OpenBase(c.Model.Path, c.Model.DType); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		r.Base.Close()
		return nil, err
	}
	return r, nil
}

func (r *Run) prepare(ctx context.Context) (err error) {
	c := r.Config
	if r.Backend = r.options.Backend; r.Backend == nil {
		if r.Backend, err = device.Open(c.Device, c.Threads); err != nil {
			return err
		}
	}
	if r.Method, r.Model, r.initial, err = build(r.Base, c.Method, uint64(c.Train.Seed)); err != nil {
		return err
	}
	if err := r.checkContext(); err != nil {
		return err
	}
	r.Model.SetRecompute(c.Memory.Checkpointing == "full")
	if err := r.Model.Check(r.Base.Files); err != nil {
		return err
	}
	if err := r.Model.Quantize(r.Base.Files, model.Quantization(c.Model.Quant), c.Model.Double); err != nil {
		return err
	}
	if err := r.readData(ctx); err != nil {
		return err
	}
	total := r.Loader.Steps()
	r.schedule, err = optim.NewSchedule(c.Optim.Scheduler, c.Optim.LearningRate, c.Optim.WarmupSteps, c.Optim.WarmupRatio, total)
	if err != nil {
		return err
	}
	r.Model.Params.EightBit = c.Optim.State == "8bit"
	r.Job = plan.Job{
		Model: r.Model, Types: r.Base.Types, Profile: r.Backend.Profile(),
		Hyper: nn.Hyper{
			Beta1: c.Optim.Betas[0], Beta2: c.Optim.Betas[1], Eps: c.Optim.Eps,
			WeightDecay: c.Optim.WeightDecay, MaxGradNorm: c.Train.MaxGradNorm,
		},
		Train: buckets(r.Loader.Buckets()), Eval: bucketsOf(r.Eval),
	}
	if r.Plan, err = r.Job.Count(); err != nil {
		return err
	}
	if limit := int64(c.Memory.Limit); limit > 0 && r.Plan.Bytes.Total() > limit {
		return failure.Memory("the plan needs %d bytes, memory.limit is %d; %s", r.Plan.Bytes.Total(), limit, r.smaller(limit))
	}
	r.identity, err = r.identify()
	return err
}

// checkContext holds the longest sequence, and the virtual tokens before it, to
// what the model was made for. A length that is a default is lowered.
func (r *Run) checkContext() error {
	c, most, virtual := r.Config, r.Base.Config.MaxPositions, r.Model.Virtual()
	if c.Data.MaxSeqLength > most-virtual && c.Origin("data.max_seq_length") == "default" {
		c.Data.MaxSeqLength = most - virtual
	}
	length := c.Data.MaxSeqLength
	switch {
	case virtual > 0 && length > most-virtual:
		return failure.Config("%d virtual tokens and data.max_seq_length %d are beyond max_position_embeddings %d of %s; lower method.num_virtual_tokens or data.max_seq_length", virtual, length, most, r.Base.Dir)
	case length > most:
		return failure.Config("data.max_seq_length %d is beyond max_position_embeddings %d of %s", length, most, r.Base.Dir)
	}
	for _, w := range r.Base.Config.Windows {
		if p := r.Model.Prefix(); p > 0 && w > 0 && w < p+length {
			return failure.Config("the model's layers see %d tokens back, which does not reach a prefix of %d at the end of data.max_seq_length %d; lower it to %d, or use method.type prompt", w, p, length, max(w-p, 0))
		}
	}
	return nil
}

// build makes the model of a method's settings, and the first values of the
// adapter that it starts from, if any.
func build(b *Base, c config.Method, seed uint64) (method.Method, *model.Model, map[string][]float32, error) {
	m := model.New(b.Config)
	how, err := registry.New(c, method.Base{Dir: b.Dir, Encode: b.encode})
	if err != nil {
		return nil, nil, nil, err
	}
	if err := how.Attach(m, seed); err != nil {
		return nil, nil, nil, err
	}
	if c.InitFrom == "" {
		return how, m, nil, nil
	}
	values, err := how.Load(c.InitFrom, m)
	return how, m, values, err
}

// readData loads the training data and what it is evaluated on.
func (r *Run) readData(ctx context.Context) (err error) {
	c := r.Config
	if r.records, err = readRecords(ctx, r.Base, c, r.options, data.Load); err != nil {
		return err
	}
	r.Data, r.rows, r.held = r.records.Report, r.records.Train, r.records.Eval
	if err := r.records.preflight(); err != nil {
		return err
	}
	r.records.Prompt = r.Model.Row.Virtual
	if r.Loader, err = r.records.Loader(); err != nil || r.held.Len() == 0 {
		return err
	}
	r.Overlap = r.held.Overlap(r.rows)
	once, err := data.NewLoader(r.held, data.LoaderOptions{
		MaxSeqLength: c.Data.MaxSeqLength, MicroBatchSize: c.Train.MicroBatch, Accumulation: 1,
		Epochs: 1, Packing: c.Data.Packing, Seed: uint64(c.Train.Seed), Prompt: r.Model.Row.Virtual,
	})
	if err != nil {
		return err
	}
	r.Eval = once.All()
	return nil
}

func buckets(from []data.Bucket) []nn.Bucket {
	var all []nn.Bucket
	for _, b := range from {
		all = append(all, nn.Bucket(b))
	}
	return all
}

// bucketsOf lists the shapes of micro-batches, each once.
func bucketsOf(batches []data.MicroBatch) []nn.Bucket {
	var all []nn.Bucket
	seen := map[nn.Bucket]bool{}
	for _, m := range batches {
		b := nn.Bucket{Tokens: len(m.IDs), Sequences: len(m.Cu) - 1, Targets: len(m.Rows)}
		if !seen[b] {
			seen[b] = true
			all = append(all, b)
		}
	}
	return all
}

// smaller looks for the largest micro-batch that fits a limit.
func (r *Run) smaller(limit int64) string {
	j := r.Job
	largest := r.Plan.Bucket
	for n := r.Config.Train.MicroBatch / 2; n >= 1; n /= 2 {
		part := func(x int) int { return max(1, x*n/r.Config.Train.MicroBatch) }
		j.Train = []nn.Bucket{{Tokens: part(largest.Tokens), Sequences: part(largest.Sequences), Targets: part(largest.Targets)}}
		j.Eval = nil
		if p, err := j.Count(); err == nil && p.Bytes.Total() <= limit {
			return fmt.Sprintf("micro_batch_size %d with gradient_accumulation_steps %d fits and trains the same step", n, r.Config.Train.Accumulation*r.Config.Train.MicroBatch/n)
		}
	}
	if r.Config.Memory.Checkpointing != "full" {
		return "try memory.checkpointing: full, or a shorter data.max_seq_length"
	}
	return "try a shorter data.max_seq_length, or a smaller base"
}

// identify gives what must be equal for a run to resume.
func (r *Run) identify() (map[string]string, error) {
	base, err := r.Base.Files.Fingerprint()
	if err != nil {
		return nil, err
	}
	// Where things lie, and what only reports, may change.
	d, t := r.Config.Data, r.Config.Train
	d.Train, d.Eval, d.Cache, d.Preflight, t.OutputDir, t.MaxSkipped = nil, nil, "", "", "", 0
	stored := r.Config.Model.Quant + fmt.Sprint(r.Config.Model.Double)
	settings := fmt.Sprintf("%+v|%+v|%+v|%+v|%+v|%s", r.Config.Method, d, t, r.Config.Optim, r.Base.Types, stored)
	s := sha256.Sum256([]byte(settings))
	return map[string]string{"base": base, "data": r.rows.Fingerprint(), "configuration": hex.EncodeToString(s[:])}, nil
}

// Close closes the base's files and the rows.
func (r *Run) Close() error {
	return errors.Join(r.Base.Close(), r.records.close())
}

// noTokenizer stands in where a base has none: records of tokens need none.
type noTokenizer struct {
	dir   string
	vocab int
}

func (n noTokenizer) Encode(string, bool) (tokenizer.Encoding, error) {
	return tokenizer.Encoding{}, failure.Data("%s has no tokenizer.json; add one, or train on records of input_ids", n.dir)
}
func (n noTokenizer) ID(string) (int32, bool) { return 0, false }
func (n noTokenizer) Size() int               { return n.vocab }

// extras are the files that belong beside what was trained.
func (r *Run) extras(d *atomicfs.Dir) error {
	if r.Method.Output() == method.Model {
		return r.Base.Files.Copy(d)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"} {
		text, err := os.ReadFile(filepath.Join(r.Base.Dir, name))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return failure.As(failure.ErrIO, err)
		}
		if err := d.WriteFile(name, text); err != nil {
			return err
		}
	}
	return nil
}

// Rows are the training rows, in the order of the files.
func (r *Run) Rows() *data.Rows { return r.rows }

// Check is what there is to know about the data.
func (r *Run) Check() data.Check { return r.records.Check() }

// Show gives a training row as tokens, with what is trained marked.
func (r *Run) Show(i int) (data.Shown, error) { return r.records.Show(i) }
