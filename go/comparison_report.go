package graft

import (
	"fmt"
	"path/filepath"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/report"
)

// writeComparison makes compare.html.
func writeComparison(dir string, all []Compared) error {
	page := report.Comparison{
		Title:   "Methods compared: " + dir,
		Note:    "Each method was trained on the same records for the same epochs or steps, from the same base, with the learning rate that is its default unless the run said otherwise. Losses are of held-out records; the lower, the better. Planned and used are bytes of memory.",
		Columns: []string{"Method", "Trained", "Share", "Learning rate", "Planned", "Used", "Seconds", "Tokens/s", "File", "Loss before", "Loss after"},
		Clouds: []report.Cloud{
			{Name: "Quality against trainable share", X: "% trained", Y: "held-out loss", LogX: true},
			{Name: "Quality against memory", X: "MiB", Y: "held-out loss"},
			{Name: "Quality against time", X: "seconds", Y: "held-out loss"},
		},
	}
	training, held := report.Curve{Name: "Training loss"}, report.Curve{Name: "Held-out loss"}
	for _, c := range all {
		if c.Refused != "" {
			page.Rows = append(page.Rows, []string{c.Method, "not trained: " + c.Refused})
			continue
		}
		page.Rows = append(page.Rows, []string{
			c.Method, fmt.Sprint(c.Trainable), fmt.Sprintf("%.3g %%", 100*c.Share), fmt.Sprintf("%.0e", c.LearningRate),
			mib(c.PlannedBytes), mib(c.UsedBytes), fmt.Sprintf("%.1f", c.Seconds), fmt.Sprintf("%.0f", c.TokensPerSec),
			mib(c.FileBytes), fmt.Sprintf("%.4f", c.EvalBefore), fmt.Sprintf("%.4f", c.EvalAfter),
		})
		page.Advice = append(page.Advice, report.Fact{Name: c.Method, Value: c.Advice})
		for i, x := range []float64{100 * c.Share, float64(c.UsedBytes) / (1 << 20), c.Seconds} {
			page.Clouds[i].Points = append(page.Clouds[i].Points, report.Point{Name: c.Method, X: x, Y: c.EvalAfter})
		}
		loss, eval := report.Line{Name: c.Method}, report.Line{Name: c.Method, X: []float64{0}, Y: []float64{c.EvalBefore}}
		for _, e := range c.Curve {
			if !e.Skipped {
				loss.X, loss.Y = append(loss.X, float64(e.Step)), append(loss.Y, e.Loss)
			}
			if e.EvalLoss != nil && finite.Is(*e.EvalLoss) {
				eval.X, eval.Y = append(eval.X, float64(e.Step)), append(eval.Y, *e.EvalLoss)
			}
		}
		training.Lines, held.Lines = append(training.Lines, loss), append(held.Lines, eval)
	}
	page.Curves = []report.Curve{held, training}
	html, err := report.ComparisonHTML(page)
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(filepath.Join(dir, "compare.html"), html)
}

func mib(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
