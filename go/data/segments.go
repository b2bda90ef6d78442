package data

import (
	"strings"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
)

// parseSegments reads a text in pieces that say themselves whether they are
// trained. Nothing is put between them.
func parseSegments(f fields, _ []byte) (r Record, err error) {
	var pieces []struct {
		Label *bool
		Text  *string
	}
	if err = f.value("segments", &pieces, "a list of {\"label\": true or false, \"text\"}"); err != nil {
		return r, err
	}
	trained := false
	for i, p := range pieces {
		if p.Label == nil || p.Text == nil {
			return r, failure.Data("segments[%d] must have \"label\" (true or false) and \"text\" (a string)", i)
		}
		r.Segments = append(r.Segments, Segment{Text: *p.Text, Trained: *p.Label})
		trained = trained || *p.Label && *p.Text != ""
	}
	if !trained {
		return r, failure.Data("no segment has the label true, so nothing would be trained")
	}
	return r, nil
}

// segments is the document of such a record; it ends with the end token if its
// last piece is trained.
func segments(pieces []Segment) document {
	var text strings.Builder
	d := document{addSpecial: true}
	for _, p := range pieces {
		start := text.Len()
		text.WriteString(p.Text)
		if d.eos = p.Trained; p.Trained {
			d.trained = append(d.trained, chat.Span{Start: start, End: text.Len()})
		}
	}
	d.text = text.String()
	return d
}
