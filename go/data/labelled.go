package data

import "github.com/graftlm/graft/go/failure"

// labelled encodes a text for a classifier: with the special tokens of the
// tokenizer, and nothing trained.
func (e Encoder) labelled(r Record) (Encoded, error) {
	switch {
	case r.Form != Classification:
		return Encoded{}, failure.Data("a classifier is trained on {\"text\": …, \"label\": …} or \"labels\": […]; this record is of form %s", r.Form)
	case r.TextPair != "":
		return Encoded{}, failure.Data("\"text_pair\" is not read by a classifier; put both texts into \"text\"")
	}
	enc, err := e.Tokenizer.Encode(r.Text, true)
	if err != nil {
		return Encoded{}, failure.As(failure.ErrData, err)
	}
	out := Encoded{IDs: enc.IDs, Offsets: enc.Offsets, Text: r.Text, Labels: make([]int32, len(enc.IDs))}
	for i := range out.Labels {
		out.Labels[i] = Masked
	}
	for i := len(out.Offsets) - 1; i > 0 && out.Offsets[i].Start == out.Offsets[i].End; i-- {
		out.Tail++
	}
	if len(out.IDs) == 0 {
		return Encoded{}, failure.Data("\"text\" has no token")
	}
	return out, nil
}

// Unlabelled is a text whose label is asked for, of at most limit tokens, with
// room for as many values as the labels of others have.
func (e Encoder) Unlabelled(text string, limit, values int) (row Row, cut bool, err error) {
	out, err := e.labelled(Record{Form: Classification, Text: text})
	if err != nil {
		return row, false, err
	}
	if cut = len(out.IDs) > limit; cut {
		out = out.cut(limit)
	}
	return Row{IDs: out.IDs, Labels: out.Labels, Labelled: true, Values: make([]float32, values)}, cut, nil
}

// cut shortens to n tokens. Those that the tokenizer put at the end of a
// labelled text, such as [SEP], stay there.
func (e Encoded) cut(n int) Encoded {
	tail := e.IDs[len(e.IDs)-min(e.Tail, n-1):]
	e.IDs, e.Labels = append(e.IDs[:n-len(tail):n-len(tail)], tail...), e.Labels[:n]
	return e
}
