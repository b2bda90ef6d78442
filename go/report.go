package graft

import (
	"fmt"
	"path/filepath"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/report"
	"github.com/graftlm/graft/go/train"
)

// writeReport makes report.html from metrics.jsonl and the result.
func (r *Run) writeReport(dir string, result train.Result) error {
	steps, err := train.ReadMetrics(dir)
	if err != nil {
		return err
	}
	line := func(name string, y func(train.Event) (float64, bool)) report.Line {
		l := report.Line{Name: name}
		for _, e := range steps {
			if v, ok := y(e); ok {
				l.X, l.Y = append(l.X, float64(e.Step)), append(l.Y, v)
			}
		}
		return l
	}
	loss := report.Curve{Name: "Loss", Lines: []report.Line{line("training", func(e train.Event) (float64, bool) { return e.Loss, !e.Skipped })}}
	eval := line("evaluation", func(e train.Event) (float64, bool) {
		if e.EvalLoss == nil || !finite.Is(*e.EvalLoss) {
			return 0, false
		}
		return *e.EvalLoss, true
	})
	if len(eval.X) > 0 {
		loss.Lines = append(loss.Lines, eval)
	}
	o := r.Config.Optim
	page := report.Run{
		Title: dir,
		Facts: []report.Fact{
			{Name: "Base", Value: fmt.Sprintf("%s (%s, %d parameters)", r.Base.Dir, r.Base.Config.Family, r.Model.BaseLen())},
			{Name: "Method", Value: fmt.Sprintf("%s, %d trainable", r.Method.Name(), r.Model.Params.TrainableLen())},
			{Name: "Optimizer", Value: fmt.Sprintf("%s, moments in %s, learning rate %g, %s", o.Name, o.State, o.LearningRate, o.Scheduler)},
			{Name: "Device", Value: r.Backend.Info()},
			{Name: "Data", Value: fmt.Sprintf("%d records, %d tokens, %d trained", r.Data.Records, r.Data.Tokens, r.Data.Targets)},
			{Name: "Steps", Value: fmt.Sprintf("%d, %d skipped", result.Steps, result.Skipped)},
			{Name: "Speed", Value: fmt.Sprintf("%.0f tokens/s", result.TokensPerSec)},
			{Name: "Written", Value: result.Output},
		},
		Curves: []report.Curve{
			loss,
			{Name: "Gradient norm", Lines: []report.Line{line("grad_norm", func(e train.Event) (float64, bool) { return e.GradNorm, !e.Skipped })}},
			{Name: "Learning rate", Lines: []report.Line{line("learning_rate", func(e train.Event) (float64, bool) { return e.LR, true })}},
			{Name: "Speed", Unit: "tokens/s", Lines: []report.Line{line("tokens per second", func(e train.Event) (float64, bool) { return e.TokensPerSec, true })}},
		},
	}
	if result.EvalBefore != nil && result.EvalAfter != nil {
		page.Facts = append(page.Facts, report.Fact{Name: "Evaluation loss", Value: fmt.Sprintf("%.4f before, %.4f after", *result.EvalBefore, *result.EvalAfter)})
	}
	for s := bindings.Space(0); s < bindings.NumSpaces; s++ {
		page.Memory = append(page.Memory, report.Fact{Name: s.String(), Value: fmt.Sprintf("%d bytes planned, %d used", result.Planned[s], result.Used[s])})
	}
	page.Memory = append(page.Memory, report.Fact{Name: "total", Value: fmt.Sprintf("%d bytes planned, %d used", result.Planned.Total(), result.Used.Total())})
	html, err := report.HTML(page)
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(filepath.Join(dir, "report.html"), html)
}
