package graft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/checkpoint"
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
	"github.com/graftlm/graft/go/train"
)

// Options of Prepare.
type Options struct {
	// Backend overrides the device of the configuration, for programs that
	// bring their own.
	Backend bindings.Backend
	// Progress is told of loading, of records that become tokens (their number
	// in all is not known, total is 0), of features and of an evaluation; it may
	// be nil.
	Progress func(what string, done, total int64)
	// Compiling is told of programs that a device compiles, when one begins
	// and when it is ready; it may be nil.
	Compiling func(bindings.Compiled)
	Stdin     io.Reader // for a data source "-"
	// PlanOnly makes a run that can be planned, not trained: where the weights
	// of the base are not there, its config.json does.
	PlanOnly bool
	// Adapters are LoRA adapters that stand beside each other, each with its
	// weight, in place of the method of the configuration; a record may choose
	// among them as Speaker.Mix does: {"adapter": "a:0.5,b:0.5"}. Such a run
	// evaluates and does not train.
	Adapters []Weighted
	// ResumeFrom is the checkpoint directory that a resumed training starts from;
	// "" is the newest of the run.
	ResumeFrom string
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
	Batches train.Batches // of the loader, or over features of its rows
	Eval    []data.MicroBatch
	Overlap int // records that are in both

	records    *Records
	rows       *data.Rows
	held       *data.Rows   // for evaluation
	once       *data.Loader // of what is held; may be nil
	extraction *extraction  // nil: none
	schedule   optim.Schedule
	initial    map[string][]float32 // of method.init_from, or of Options.Adapters
	adapters   adapterSet           // of Options.Adapters
	identity   map[string]string
	options    Options
	comparison bool // its directory is a comparison's to replace
}

// Prepare reads the data, checks it, builds the model and plans its memory. It
// fails on everything that can be known before the first step.
func Prepare(ctx context.Context, c *config.Config, o Options) (*Run, error) {
	if err := c.Require("model.path", "data.train"); err != nil {
		return nil, err
	}
	r := &Run{Config: c, options: o}
	var err error
	if o.ResumeFrom != "" {
		if _, err := checkpoint.ReadHead(o.ResumeFrom); err != nil {
			return nil, err
		}
	}
	r.Base, err = OpenBase(c.Model.Path, c.Model.DType)
	if o.PlanOnly && errors.Is(err, failure.ErrNoInput) {
		r.Base, err = describeBase(c.Model.Path, c.Model.DType)
	}
	if err != nil {
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
	announce(r.Backend, r.options.Compiling)
	if len(r.options.Adapters) > 0 {
		if err := r.beside(); err != nil {
			return err
		}
	} else if r.Method, err = registry.New(c.Method, method.Base{Dir: r.Base.Dir, Encode: r.Base.encode}); err != nil {
		return err
	}
	if l, ok := r.Method.(method.Labelled); ok {
		if err := r.readLabelled(ctx, l); err != nil {
			return err
		}
	}
	if err := r.build(); err != nil {
		return err
	}
	if r.Loader == nil {
		if err := r.readData(ctx, nil); err != nil {
			return err
		}
	}
	total := r.Loader.Steps()
	r.schedule, err = optim.NewSchedule(c.Optim.Scheduler, c.Optim.LearningRate, c.Optim.WarmupSteps, c.Optim.WarmupRatio, total)
	if err != nil {
		return err
	}
	shapes, err := r.buckets()
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
		Train: shapes, Eval: bucketsOf(r.Eval), Longest: r.longest(),
	}
	if r.Job.Adapters = len(r.adapters.loaded); r.Job.Adapters > 0 {
		r.Job.Train = nil
	}
	limit, what := limitOf(c, r.Backend)
	if err := r.Job.Checkpoint(plan.Checkpointing(c.Memory.Checkpointing), limit); err != nil {
		return err
	}
	if r.Plan, err = r.Job.Count(); err != nil {
		return err
	}
	if x := r.FeaturePlan(); x != nil && limit > 0 && x.Bytes.Total() > limit {
		return failure.Memory("the features of the base need %d bytes, %s %d; try a shorter data.max_seq_length, or a smaller base", x.Bytes.Total(), what, limit)
	}
	if limit > 0 && r.Plan.Bytes.Total() > limit {
		return failure.Memory("the plan needs %d bytes, %s %d; %s", r.Plan.Bytes.Total(), what, limit, r.smaller(limit))
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

// announce has a device tell of programs that compile, if it is of that kind.
func announce(b bindings.Backend, to func(bindings.Compiled)) {
	if a, ok := b.(bindings.Announcer); ok && to != nil {
		a.Announce(to)
	}
}

// build makes the model of the method, and reads the first values of the
// adapter that it starts from, if any.
func (r *Run) build() (err error) {
	c := r.Config
	r.Model = model.New(r.Base.Config)
	if all := r.options.Adapters; len(all) > 0 {
		r.initial, err = stack(r.Model, all, true)
	} else {
		err = r.Method.Attach(r.Model, uint64(c.Train.Seed))
	}
	if err != nil {
		return err
	}
	if d := r.Model.Decoder; d != nil {
		d.LabelSmoothing, d.ZLoss = c.Train.Smoothing, c.Train.ZLoss
	}
	if r.Model.Objective == nil {
		return failure.Config("%s is an encoder (%s), which does not predict next tokens; method.type: head trains a classifier on it", r.Base.Dir, r.Base.Config.Family)
	}
	if err := r.checkContext(); err != nil {
		return err
	}
	if r.extraction == nil {
		if err := r.Base.check(r.Model); err != nil {
			return err
		}
		if err := r.Model.Quantize(r.Base.Files, model.Quantization(c.Model.Quant), c.Model.Double); err != nil {
			return err
		}
	}
	if c.Method.InitFrom != "" && r.initial == nil {
		r.initial, err = r.Method.Load(c.Method.InitFrom, r.Model)
	}
	return err
}

// readData loads the training data and what it is evaluated on. With use it is
// told of both before they become batches.
func (r *Run) readData(ctx context.Context, use func(rows, val *data.Rows) error) (err error) {
	c := r.Config
	if r.records, err = readRecords(ctx, r.Base, c, r.options, data.Load); err != nil {
		return err
	}
	r.Data, r.rows, r.held = r.records.Report, r.records.Train, r.records.Eval
	if use != nil {
		if err := use(r.rows, r.held); err != nil {
			return err
		}
	}
	if err := r.records.preflight(); err != nil {
		return err
	}
	r.records.Prompt = r.Model.Row.Virtual
	if r.Loader, err = r.records.Loader(); err != nil {
		return err
	}
	r.Batches = r.Loader
	if r.held.Len() == 0 {
		return nil
	}
	r.Overlap = r.held.Overlap(r.rows)
	once, err := data.NewLoader(r.held, data.LoaderOptions{
		MaxSeqLength: c.Data.MaxSeqLength, MicroBatchSize: c.Train.MicroBatch, Accumulation: 1,
		Epochs: 1, Packing: c.Data.Packing, Seed: uint64(c.Train.Seed), Prompt: r.Model.Row.Virtual,
	})
	if err != nil {
		return err
	}
	if r.Eval, err = once.All(); err != nil {
		return err
	}
	r.once = once
	return r.adapters.gate(r.Eval, r.held)
}

// readLabelled loads data whose labels decide the shape of the method, and, if
// the base is frozen as a whole, turns it into features to be computed.
func (r *Run) readLabelled(ctx context.Context, l method.Labelled) error {
	r.Model = model.New(r.Base.Config)
	if err := r.checkContext(); err != nil {
		return err
	}
	err := r.readData(ctx, func(rows, val *data.Rows) error {
		labels, err := rows.Labels(l.Wanted().Task, l.Wanted().Names)
		if err != nil {
			return err
		}
		for _, x := range []*data.Rows{rows, val} {
			if err := x.Use(labels); err != nil {
				return err
			}
		}
		r.Method = l.For(labels)
		return nil
	})
	if err != nil {
		return err
	}
	x, ok := r.Method.(method.Extracting)
	if !ok || !x.Frozen() {
		return nil
	}
	if r.Method, err = r.prepareFeatures(x); err != nil {
		return err
	}
	return r.featureBatches(nil)
}

// buckets lists the shapes of training micro-batches.
func (r *Run) buckets() ([]nn.Bucket, error) {
	if f, ok := r.Batches.(*featured); ok {
		all, err := f.all()
		return bucketsOf(all), err
	}
	return buckets(r.Loader.Buckets()), nil
}

// longest is the number of tokens of the longest sequence of the run.
func (r *Run) longest() int {
	most := r.Loader.Longest()
	for _, b := range r.Eval {
		most = max(most, b.Longest)
	}
	return most
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

// driverBytes is what a GPU's driver takes beside the plan when a run has begun:
// for kernels as they are loaded, for the libraries of products, for graphs.
const driverBytes = 512 << 20

// limitOf is the bytes that a run may take, 0 if that is not known, and the
// words that say so: memory.limit, but on a GPU no more than it has free.
func limitOf(c *config.Config, b bindings.Backend) (bytes int64, what string) {
	set := int64(c.Memory.Limit)
	if d, ok := b.(bindings.Describer); ok {
		x, err := d.Describe()
		free := max(x.MemoryFree-driverBytes, 1)
		switch {
		case err == nil && x.Driver != "" && (set == 0 || free < set):
			return free, "the device has free, 512 MiB for its driver aside,"
		case err == nil && x.Driver == "" && set == 0:
			return x.MemoryFree, "the device has free"
		}
	}
	return set, "memory.limit is"
}

// smaller looks for the largest micro-batch that fits a limit, with every block
// recomputed if that is allowed.
func (r *Run) smaller(limit int64) string {
	j := r.Job
	largest := r.Plan.Bucket
	for n := r.Config.Train.MicroBatch / 2; n >= 1; n /= 2 {
		part := func(x int) int { return max(1, x*n/r.Config.Train.MicroBatch) }
		j.Train = []nn.Bucket{{Tokens: part(largest.Tokens), Sequences: part(largest.Sequences), Targets: part(largest.Targets)}}
		j.Eval = nil
		if r.Config.Memory.Checkpointing != "none" {
			if err := j.Checkpoint(plan.RunAll, limit); err != nil {
				break
			}
		}
		if p, err := j.Count(); err == nil && p.Bytes.Total() <= limit {
			return fmt.Sprintf("micro_batch_size %d with gradient_accumulation_steps %d fits and trains the same step", n, r.Config.Train.Accumulation*r.Config.Train.MicroBatch/n)
		}
	}
	if r.Config.Memory.Checkpointing == "none" {
		return "try memory.checkpointing: auto, or a shorter data.max_seq_length"
	}
	return "try a shorter data.max_seq_length, or a smaller base"
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
