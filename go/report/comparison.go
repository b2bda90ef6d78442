package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
)

//go:embed comparison.html
var comparisonPage string

// Comparison is a table of runs, and plots of what separates them.
type Comparison struct {
	Title   string
	Note    string
	Columns []string
	Rows    [][]string // the first cell names the row
	Curves  []Curve
	Clouds  []Cloud
}

// Cloud is points with names, in a plane. LogX: the horizontal axis is
// logarithmic.
type Cloud struct {
	Name, X, Y string
	LogX       bool
	Points     []Point
}

// Point is one of them.
type Point struct {
	Name string
	X, Y float64
}

// ComparisonHTML renders the page.
func ComparisonHTML(c Comparison) ([]byte, error) {
	t, err := template.New("comparison").Funcs(template.FuncMap{"plot": plot, "cloud": cloud, "places": places}).Parse(comparisonPage)
	if err != nil {
		return nil, err
	}
	if t, err = t.New("style").Parse(style); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "comparison", c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cloud draws named points as SVG.
func cloud(c Cloud) template.HTML {
	scale := func(x float64) float64 {
		if c.LogX {
			return math.Log10(max(x, 1e-12))
		}
		return x
	}
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range c.Points {
		x0, x1, y0, y1 = min(x0, scale(p.X)), max(x1, scale(p.X)), min(y0, p.Y), max(y1, p.Y)
	}
	if x0 > x1 {
		return ""
	}
	pad := func(a, b float64) (float64, float64) {
		d := 0.12 * (b - a)
		if d == 0 {
			d = max(math.Abs(a)*0.1, 0.5)
		}
		return a - d, b + d
	}
	x0, x1 = pad(x0, x1)
	y0, y1 = pad(y0, y1)
	px := func(x float64) float64 { return left + (scale(x)-x0)/(x1-x0)*(width-left-8) }
	py := func(y float64) float64 { return 8 + (y1-y)/(y1-y0)*(height-bottom-8) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(c.Name+": "+places(c)))
	for i := range 5 {
		y := y0 + (y1-y0)*float64(i)/4
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%.4g</text>`, left, width-8, py(y), py(y), left-6, py(y)+4, y)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="end">%s →</text>`, width-8, height-8, template.HTMLEscapeString(c.X))
	for n, p := range c.Points {
		anchor, dx := "start", 8.0
		if px(p.X) > width*0.8 {
			anchor, dx = "end", -8
		}
		fmt.Fprintf(&b, `<circle class="line%d" r="4" cx="%.1f" cy="%.1f"/><text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`,
			n, px(p.X), py(p.Y), px(p.X)+dx, py(p.Y)-6, anchor, template.HTMLEscapeString(p.Name))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// places says in words where the points are.
func places(c Cloud) string {
	var parts []string
	for _, p := range c.Points {
		parts = append(parts, fmt.Sprintf("%s at %.4g %s, %.4g %s", p.Name, p.X, c.X, p.Y, c.Y))
	}
	return strings.Join(parts, "; ")
}
