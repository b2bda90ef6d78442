package graft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method/registry"
)

// Records are the data of a run file as rows of tokens, before there is a
// model.
type Records struct {
	Config      *config.Config
	Base        *Base
	Report      data.Report // of the training sources
	EvalReport  data.Report // of data.eval
	Train, Eval *data.Rows  // Eval has no rows where nothing is evaluated
	Prompt      int         // virtual tokens that training puts before each row

	loaded []*data.Rows
	ends   bool // the base has tokens that end an answer
}

// ReadRecords reads the data of a run file, as training would: from the cache
// if it can. The base needs a tokenizer and a config.json, no weights.
func ReadRecords(ctx context.Context, c *config.Config, o Options) (*Records, error) {
	return openRecords(ctx, c, o, data.Load)
}

// SurveyRecords reads all data of a run file and goes on where training would
// refuse: Check tells what is wrong.
func SurveyRecords(ctx context.Context, c *config.Config, o Options) (*Records, error) {
	return openRecords(ctx, c, o, data.Survey)
}

// read is data.Load or data.Survey.
type read func(context.Context, data.Options) (*data.Rows, data.Report, error)

func openRecords(ctx context.Context, c *config.Config, o Options, how read) (*Records, error) {
	if err := c.Require("model.path", "data.train"); err != nil {
		return nil, err
	}
	b, err := describeBase(c.Model.Path, c.Model.DType)
	if err != nil {
		return nil, err
	}
	r, err := readRecords(ctx, b, c, o, how)
	if err != nil {
		b.Close()
		return nil, err
	}
	return r, nil
}

// Close closes the base's files and the rows.
func (r *Records) Close() error { return errors.Join(r.Base.Close(), r.close()) }

func (r *Records) close() (err error) {
	for _, rows := range r.loaded {
		err = errors.Join(err, rows.Close())
	}
	return err
}

func readRecords(ctx context.Context, b *Base, c *config.Config, o Options, how read) (r *Records, err error) {
	r = &Records{Config: c, Base: b}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	options, err := r.options(o)
	if err != nil {
		return r, err
	}
	load := func(from []config.Source) (*data.Rows, data.Report, error) {
		options.Sources = sources(from)
		rows, report, err := how(ctx, options)
		if err == nil {
			r.loaded = append(r.loaded, rows)
		}
		return rows, report, err
	}
	rows, report, err := load(c.Data.Train)
	if err != nil {
		return r, err
	}
	r.Report, r.Train, r.Eval = report, rows, &data.Rows{}
	if rows.Len() > 0 {
		if r.Train, r.Eval, err = rows.Split(c.Data.ValSetSize, uint64(c.Train.Seed)); err != nil {
			return r, err
		}
	}
	if len(c.Data.Eval) == 0 {
		return r, nil
	}
	if c.Data.ValSetSize > 0 {
		return r, failure.Config("data.eval and data.val_set_size are both set; use one")
	}
	r.Eval, r.EvalReport, err = load(c.Data.Eval)
	return r, err
}

// sources are those of the data package.
func sources(from []config.Source) (all []data.Source) {
	for _, s := range from {
		all = append(all, data.Source{Path: s.Path, Format: data.Form(s.Format), Weight: s.Weight})
	}
	return all
}

// options are those of the data package, without the sources.
func (r *Records) options(o Options) (data.Options, error) {
	c, b := r.Config.Data, r.Base
	e := data.Encoder{TrainOn: data.TrainOn(c.TrainOn), EOS: b.Files.Special.EOS, Chat: chat.Options{Tokens: b.SpecialTokens()}}
	options := data.Options{MaxSeqLength: c.MaxSeqLength, OnOverflow: c.OnOverflow, OnError: c.OnError, Stdin: o.Stdin, Ends: b.StopTokens(), Progress: part(o.Progress, "tokenising")}
	r.ends = len(options.Ends) > 0
	e.Labelled = registry.Labelled(r.Config.Method.Type)
	if b.Tokenizer == nil {
		e.Tokenizer = noTokenizer{b.Dir, b.Config.Vocab}
		options.Encoder = e
		return options, nil
	}
	e.Tokenizer = b.Tokenizer
	options.Decode = func(ids []int32) (string, error) { return b.Tokenizer.Decode(ids, false) }
	t, err := b.Template(c.Template)
	if err == nil {
		e.Template = t
	} else if !errors.Is(err, failure.ErrNoInput) {
		return options, err
	}
	options.Encoder = e
	options.Cache, options.CacheKey = cacheDir(c.Cache), cacheKey(b, t)
	return options, nil
}

// cacheDir is the directory of a setting: auto, none or a path.
func cacheDir(setting string) string {
	switch setting {
	case "none":
		return ""
	case "auto", "":
		dir, err := os.UserCacheDir()
		if err != nil {
			return "" // no home, no cache
		}
		return filepath.Join(dir, "graft", "rows")
	}
	return setting
}

// cacheKey stands for the tokenizer and the template; "" is that there is
// nothing to go by.
func cacheKey(b *Base, t *chat.Template) string {
	h := sha256.New()
	for _, name := range []string{"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt"} {
		text, err := os.ReadFile(filepath.Join(b.Dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return ""
		}
		fmt.Fprintf(h, "%s\x00%d\x00%s", name, len(text), text)
	}
	if t != nil {
		fmt.Fprint(h, t.Fingerprint())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Loader gives the steps of a run over the training rows.
func (r *Records) Loader() (*data.Loader, error) {
	c := r.Config
	return data.NewLoader(r.Train, data.LoaderOptions{
		MaxSeqLength: c.Data.MaxSeqLength, MicroBatchSize: c.Train.MicroBatch, Accumulation: c.Train.Accumulation,
		Epochs: c.Train.Epochs, MaxSteps: c.Train.MaxSteps, Packing: c.Data.Packing, GroupByLength: c.Data.ByLength, Shuffle: c.Data.Shuffle, Seed: uint64(c.Train.Seed),
		Prompt: r.Prompt,
	})
}

// Check is what there is to know about the data.
func (r *Records) Check() data.Check {
	c := data.CheckRows(r.Report, r.Train, r.Eval)
	if refused := r.masked(); refused != "" {
		c.Refuse(refused, r.Config.Data.Preflight == "warn")
	}
	for _, report := range []data.Report{r.Report, r.EvalReport} {
		for _, refused := range report.Refusals(r.Config.Data.OnError == "stop") {
			c.Refuse(refused, false)
		}
	}
	for _, mark := range r.missing() {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the template writes %s, which is no token of the tokenizer and is read as plain text", mark))
	}
	return c
}

// preflight refuses what a run would learn wrongly from.
func (r *Records) preflight() error {
	if refused := r.masked(); refused != "" && r.Config.Data.Preflight != "warn" {
		return failure.Data("%s; data.preflight: warn trains all the same", refused)
	}
	return nil
}

// masked says that the token which ends an answer is there and never trained.
func (r *Records) masked() string {
	if !r.ends || r.Report.EndTrained > 0 || r.Report.EndThere == 0 || r.Report.Forms[data.Tokens] == r.Report.Records {
		return ""
	}
	return fmt.Sprintf("the token that ends an answer is in %d rows and trained in none, so that generation would not stop; put it inside of {%% generation %%} in the template, or use a built-in one", r.Report.EndThere)
}

// missing are the marks that the template writes and the tokenizer has no token
// for.
func (r *Records) missing() (marks []string) {
	if r.Base.Tokenizer == nil || r.Report.Forms[data.Messages]+r.Report.Forms[data.ShareGPT] == 0 {
		return nil
	}
	t, err := r.Base.Template(r.Config.Data.Template)
	if err != nil {
		return nil
	}
	c := chat.Conversation{Messages: []chat.Message{{Role: "user", Content: "Q"}, {Role: "assistant", Content: "A"}}}
	out, err := t.Render(c, chat.Options{Tokens: r.Base.SpecialTokens()})
	if err != nil {
		return nil
	}
	for _, mark := range chat.Marks(out.Text) {
		if _, ok := r.Base.Tokenizer.ID(mark); !ok {
			marks = append(marks, mark)
		}
	}
	return marks
}

// Show gives a training row as tokens, with what is trained marked.
func (r *Records) Show(i int) (data.Shown, error) {
	decode := func(ids []int32) (string, error) { return fmt.Sprint(ids), nil }
	if r.Base.Tokenizer != nil {
		decode = func(ids []int32) (string, error) { return r.Base.Tokenizer.Decode(ids, false) }
	}
	row, err := r.Train.Row(i)
	if err != nil {
		return nil, err
	}
	return data.Show(row, decode)
}
