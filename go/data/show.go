package data

import (
	"fmt"
	"html"
	"io"
	"strings"
	"unicode"

	"github.com/graftlm/graft/go/failure"
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

// Example is a row shown, and where it is from.
type Example struct {
	Source string `json:"source"`
	Line   int    `json:"line"`
	Shown  Shown  `json:"segments"`
}

// WriteHTML writes a page of examples that needs nothing beside it.
func WriteHTML(w io.Writer, title string, examples []Example) error {
	const style = "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}" +
		"pre{white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.5 ui-monospace,monospace;color:#666;background:#f6f6f6;padding:1em;border-radius:4px}" +
		"mark{background:#bfe8c4;color:#0a3d12}h2{font-size:1em;font-weight:600}" +
		"@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}pre{color:#999;background:#222}mark{background:#1d4a26;color:#c8f0cd}}"
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<style>%s</style>\n<h1>%s</h1>\n<p>What is <mark>marked</mark> is trained; the rest is only read.</p>\n",
		html.EscapeString(title), style, html.EscapeString(title))
	for _, e := range examples {
		trained, all := 0, 0
		for _, s := range e.Shown {
			if all += s.Tokens; s.Trained {
				trained += s.Tokens
			}
		}
		fmt.Fprintf(&b, "<h2>%s:%d — %d of %d tokens trained</h2>\n%s", html.EscapeString(visible(e.Source)), e.Line, trained, all, e.Shown.HTML())
	}
	b.WriteString("</html>\n")
	_, err := io.WriteString(w, b.String())
	return failure.As(failure.ErrIO, err)
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
