package graft

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/report"
)

// measures are those of a method's own that the table has a column for, where
// a method has them.
var measures = []struct{ name, column string }{{"accuracy", "accuracy"}, {"macro_f1", "macro F1"}}

// table gives the columns and a row for each method that was trained.
func table(all []Compared) (columns []string, rows [][]string) {
	columns = []string{"method", "trained", "share", "learning rate", "planned", "used", "seconds", "tokens/s", "file", "loss before", "loss after"}
	shown := measures[:0:0]
	for _, m := range measures {
		if slices.ContainsFunc(all, func(c Compared) bool { _, has := c.Measures[m.name]; return has }) {
			shown, columns = append(shown, m), append(columns, m.column)
		}
	}
	for _, c := range all {
		if c.Refused != "" {
			continue
		}
		cells := []string{
			c.Method, report.Count(c.Trainable), fmt.Sprintf("%.3g %%", 100*c.Share), fmt.Sprintf("%.0e", c.LearningRate),
			report.Size(c.PlannedBytes), report.Size(c.UsedBytes), fmt.Sprintf("%.1f", c.Seconds), fmt.Sprintf("%.0f", c.TokensPerSec),
			report.Size(c.FileBytes), fmt.Sprintf("%.4f", c.EvalBefore), fmt.Sprintf("%.4f", c.EvalAfter),
		}
		for _, m := range shown {
			cell := ""
			if v, has := c.Measures[m.name]; has {
				cell = fmt.Sprintf("%.3f", v)
			}
			cells = append(cells, cell)
		}
		rows = append(rows, cells)
	}
	return columns, rows
}

// PrintComparison writes the table for a terminal, and when to use which.
func PrintComparison(to io.Writer, all []Compared) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	columns, rows := table(all)
	for _, r := range append([][]string{columns}, rows...) {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	fmt.Fprintln(w)
	for _, c := range all {
		if c.Refused != "" {
			c.Advice = "not trained: " + c.Refused
		}
		fmt.Fprintf(w, "%s\t%s\n", c.Method, c.Advice)
	}
	return w.Flush()
}

// writeComparison makes compare.html.
func writeComparison(dir string, all []Compared) error {
	page := report.Comparison{
		Title: "Methods compared: " + dir,
		Note:  "Each method was trained on the same records for the same epochs or steps, from the same base, with the learning rate that is its default unless the run said otherwise. Losses are of held-out records; the lower, the better. Planned and used are bytes of memory.",
		Clouds: []report.Cloud{
			{Name: "Quality against trainable share", X: "% trained", Y: "held-out loss", LogX: true},
			{Name: "Quality against memory", X: "MiB", Y: "held-out loss"},
			{Name: "Quality against time", X: "seconds", Y: "held-out loss"},
		},
	}
	page.Columns, page.Rows = table(all)
	training, held := report.Curve{Name: "Training loss"}, report.Curve{Name: "Held-out loss"}
	for _, c := range all {
		if c.Refused != "" {
			page.Rows = append(page.Rows, []string{c.Method, "not trained: " + c.Refused})
			continue
		}
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
