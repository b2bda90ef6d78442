// Package report writes report.html: one file that opens with no network and
// tells of a run: what it was, its loss, its memory planned and used.
//
//	html, err := report.HTML(report.Run{Title: "runs/a", Steps: steps, Facts: facts})
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
)

//go:embed report.html
var page string

//go:embed style.css
var style string

// Run is what the page tells.
type Run struct {
	Title  string
	Facts  []Fact
	Memory []Fact // planned and used, by arena
	Curves []Curve
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

// Curve is a number over steps, with a second one beside it if there is one.
type Curve struct {
	Name, Unit string
	Lines      []Line
}

// Line is one curve of a plot.
type Line struct {
	Name string
	X, Y []float64
}

// HTML renders the page.
func HTML(r Run) ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{"plot": plot}).Parse(page)
	if err != nil {
		return nil, err
	}
	if _, err := t.New("style").Parse(style); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// The plot's size in units of its view box.
const (
	width, height = 640.0, 240.0
	left, bottom  = 72.0, 28.0
)

// plot draws a curve as SVG. What is not finite is left out.
func plot(c Curve) template.HTML {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range c.Lines {
		for i := range l.X {
			if finite(l.Y[i]) {
				x0, x1, y0, y1 = min(x0, l.X[i]), max(x1, l.X[i]), min(y0, l.Y[i]), max(y1, l.Y[i])
			}
		}
	}
	if x0 > x1 {
		return ""
	}
	if y0 == y1 {
		y0, y1 = y0-1, y1+1
	}
	px := func(x float64) float64 { return left + (x-x0)/max(x1-x0, 1)*(width-left-8) }
	py := func(y float64) float64 { return 8 + (y1-y)/(y1-y0)*(height-bottom-8) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(c.Name+": "+summary(c)))
	for i := range 5 {
		y := y0 + (y1-y0)*float64(i)/4
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`, left, width-8, py(y), py(y), left-6, py(y)+4, tick(y))
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g">%.0f</text><text x="%g" y="%g" text-anchor="end">step %.0f</text>`, left, height-8, x0, width-8, height-8, x1)
	for n, l := range c.Lines {
		fmt.Fprintf(&b, `<polyline class="line%d" points="`, n)
		for i := range l.X {
			if finite(l.Y[i]) {
				fmt.Fprintf(&b, "%.1f,%.1f ", px(l.X[i]), py(l.Y[i]))
			}
		}
		b.WriteString(`"/>`)
		if len(l.X) < 40 {
			for i := range l.X {
				if finite(l.Y[i]) {
					fmt.Fprintf(&b, `<circle class="line%d" r="3" cx="%.1f" cy="%.1f"/>`, n, px(l.X[i]), py(l.Y[i]))
				}
			}
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// summary says in words what a plot shows.
func summary(c Curve) string {
	var parts []string
	for _, l := range c.Lines {
		if n := len(l.Y); n > 0 {
			parts = append(parts, fmt.Sprintf("%s from %.4g to %.4g %s", l.Name, l.Y[0], l.Y[n-1], c.Unit))
		}
	}
	return strings.TrimSpace(strings.Join(parts, "; "))
}

// tick writes a number of an axis in few characters.
func tick(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case size >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case v != 0 && size < 1e-3:
		return fmt.Sprintf("%.1e", v)
	}
	return fmt.Sprintf("%.4g", v)
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
