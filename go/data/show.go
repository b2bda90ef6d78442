package data

import (
	"fmt"
	"html"
	"strings"
	"unicode"
)

// Segment is a run of tokens of a row that are all trained, or all not.
type Segment struct {
	Text    string `json:"text"`
	Tokens  int    `json:"tokens,omitempty"`
	Trained bool   `json:"trained"`
}

// Shown is a row for a person to check: what is trained and what is not.
type Shown []Segment

// Show cuts a row where the mask changes. decode turns ids into text, special
// tokens included.
func Show(row Row, decode func(ids []int32) (string, error)) (Shown, error) {
	var shown Shown
	before := ""
	for start := 0; start < len(row.IDs); {
		trained := row.trains(start)
		end := start + 1
		for end < len(row.IDs) && row.trains(end) == trained {
			end++
		}
		// Decoders look at what stands before, so a segment is what it adds to
		// the text; alone it may lose its first space.
		whole, err := decode(row.IDs[:end])
		if err != nil {
			return nil, err
		}
		text, ok := strings.CutPrefix(whole, before)
		if !ok {
			if text, err = decode(row.IDs[start:end]); err != nil {
				return nil, err
			}
		}
		shown = append(shown, Segment{Text: text, Tokens: end - start, Trained: trained})
		before, start = whole, end
	}
	return shown, nil
}

func (r Row) trains(i int) bool { return i > 0 && r.Labels[i] != Masked }

// ANSI colours what is trained, for a terminal.
func (s Shown) ANSI() string { return s.write("\x1b[1;32m", "\x1b[0m", visible) }

// Plain puts what is trained in ⟦brackets⟧.
func (s Shown) Plain() string { return s.write("⟦", "⟧", visible) }

// HTML is a <pre> element with what is trained in <mark>.
func (s Shown) HTML() string {
	escape := func(text string) string { return html.EscapeString(visible(text)) }
	return "<pre class=\"mask\">" + s.write("<mark>", "</mark>", escape) + "</pre>\n"
}

func (s Shown) write(open, shut string, escape func(string) string) string {
	var b strings.Builder
	for _, segment := range s {
		if !segment.Trained {
			b.WriteString(escape(segment.Text))
			continue
		}
		b.WriteString(open + escape(segment.Text) + shut)
	}
	return b.String()
}

// visible spells out control and format characters, with which a record could
// take over a terminal or hide text.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			fmt.Fprintf(&b, "<U+%04X>", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
