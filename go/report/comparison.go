package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
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
	Advice  []Fact     // when to use which
	Curves  []Curve
	Clouds  []Cloud
}

// Rest is the number of columns beside the first.
func (c Comparison) Rest() int { return len(c.Columns) - 1 }

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
	t, err := template.New("comparison").Funcs(template.FuncMap{"plot": plot, "cloud": cloud}).Parse(comparisonPage)
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
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`, left, width-8, py(y), py(y), left-6, py(y)+4, tick(y))
	}
	axis := c.X
	if c.LogX {
		axis += ", logarithmic"
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">%s</text><text x="%g" y="20">%s</text>`, (left+width)/2, height-8, template.HTMLEscapeString(axis), left+4, template.HTMLEscapeString(c.Y))
	for i, x := range extremes(c.Points) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="%s">%.3g</text>`, px(x), height-8, []string{"middle", "end"}[i], x)
	}
	var taken [][2]float64
	for n, p := range c.Points {
		anchor, dx, side := "start", 8.0, 0.0
		if px(p.X) > width*0.8 {
			anchor, dx, side = "end", -8, -labelWidth
		}
		x, y := px(p.X)+dx, py(p.Y)-6
		for slices.ContainsFunc(taken, func(t [2]float64) bool { return math.Abs(t[0]-x-side) < labelWidth && math.Abs(t[1]-y) < labelHeight }) {
			y += labelHeight
		}
		taken = append(taken, [2]float64{x + side, y})
		fmt.Fprintf(&b, `<circle class="line%d" r="4" cx="%.1f" cy="%.1f"/><text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`,
			n, px(p.X), py(p.Y), x, y, anchor, template.HTMLEscapeString(p.Name))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// The room that the name of a point takes, so that names do not lie on each other.
const labelWidth, labelHeight = 64, 17

// extremes are the least and the largest X; one if they are equal.
func extremes(all []Point) []float64 {
	least, largest := math.Inf(1), math.Inf(-1)
	for _, p := range all {
		least, largest = min(least, p.X), max(largest, p.X)
	}
	if least == largest {
		return []float64{least}
	}
	return []float64{least, largest}
}

// places says in words where the points are.
func places(c Cloud) string {
	var parts []string
	for _, p := range c.Points {
		parts = append(parts, fmt.Sprintf("%s at %.4g %s, %.4g %s", p.Name, p.X, c.X, p.Y, c.Y))
	}
	return strings.Join(parts, "; ")
}
