package tokenizer

import (
	"encoding/json"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// Truncation is how long an encoding may be, special tokens included.
type Truncation struct {
	MaxLength int    `json:"max_length"`
	Stride    int    `json:"stride"`    // tokens that a window of overflow repeats
	Strategy  string `json:"strategy"`  // LongestFirst, OnlyFirst or OnlySecond
	Direction string `json:"direction"` // Right cuts off the end, Left the start
}

// Padding is what short encodings are filled up with.
type Padding struct {
	Longest    bool   // to the longest of a batch, so that a text alone is not padded
	Length     int    // or to this
	MultipleOf int    // 0 or 1: any
	Direction  string // Right appends
	ID, TypeID int32
	Token      string
}

func parseTruncation(raw json.RawMessage) (*Truncation, error) {
	t := &Truncation{Direction: "Right"}
	o := open("truncation", raw)
	o.need("max_length", &t.MaxLength)
	o.need("stride", &t.Stride)
	o.need("strategy", &t.Strategy)
	o.get("direction", &t.Direction)
	if !slices.Contains([]string{"LongestFirst", "OnlyFirst", "OnlySecond"}, t.Strategy) {
		o.fail("truncation.strategy: %q is not one of LongestFirst, OnlyFirst, OnlySecond", t.Strategy)
	}
	checkDirection(o, t.Direction)
	if t.MaxLength < 0 || t.Stride < 0 {
		o.fail("truncation: max_length %d, stride %d: want 0 or more", t.MaxLength, t.Stride)
	}
	return t, o.close()
}

func parsePadding(raw json.RawMessage) (*Padding, error) {
	p := &Padding{}
	o := open("padding", raw)
	var strategy json.RawMessage
	var name string
	o.need("strategy", &strategy)
	o.need("direction", &p.Direction)
	o.get("pad_to_multiple_of", &p.MultipleOf)
	o.need("pad_id", &p.ID)
	o.need("pad_type_id", &p.TypeID)
	o.need("pad_token", &p.Token)
	checkDirection(o, p.Direction)
	if o.err == nil && json.Unmarshal(strategy, &name) == nil {
		if p.Longest = name == "BatchLongest"; !p.Longest {
			o.fail("padding.strategy: %q is neither BatchLongest nor {\"Fixed\": length}", name)
		}
	} else if o.err == nil {
		in := open("padding.strategy", strategy)
		in.need("Fixed", &p.Length)
		if err := in.close(); err != nil {
			o.fail("%w", err)
		}
	}
	if p.Length < 0 || p.Length > maxPadding || p.MultipleOf < 0 || p.MultipleOf > maxPadding {
		o.fail("padding: length %d, pad_to_multiple_of %d: want 0 to %d", p.Length, p.MultipleOf, maxPadding)
	}
	return p, o.close()
}

func checkDirection(o *object, direction string) {
	if direction != "Left" && direction != "Right" {
		o.fail("%s.direction: %q is neither Left nor Right", o.path, direction)
	}
}

// truncate cuts one or two encodings to the length together.
func (t Truncation) truncate(parts []Encoding) error {
	total := 0
	for _, p := range parts {
		total += p.Len()
	}
	if total <= t.MaxLength {
		return nil
	}
	if t.MaxLength == 0 {
		for i := range parts {
			if err := t.cut(&parts[i], 0); err != nil {
				return err
			}
		}
		return nil
	}
	at := 0
	switch t.Strategy {
	case "LongestFirst":
		if len(parts) == 2 {
			a, b := t.share(parts[0].Len(), parts[1].Len())
			if err := t.cut(&parts[0], a); err != nil {
				return err
			}
			return t.cut(&parts[1], b)
		}
	case "OnlySecond":
		if at = 1; len(parts) < 2 {
			return failure.Data("truncation.strategy: OnlySecond, but there is no second text")
		}
	}
	keep := parts[at].Len() - (total - t.MaxLength)
	if keep <= 0 && t.Strategy != "LongestFirst" {
		return failure.Data("truncation: the text to cut is too short for max_length %d", t.MaxLength)
	}
	return t.cut(&parts[at], keep)
}

// share says how long each of a pair may be.
func (t Truncation) share(a, b int) (int, int) {
	short, long := min(a, b), max(a, b)
	if short > t.MaxLength {
		long = short
	} else {
		long = max(short, t.MaxLength-short)
	}
	if short+long > t.MaxLength {
		short = t.MaxLength / 2
		long = short + t.MaxLength%2
	}
	if a > b {
		return long, short
	}
	return short, long
}

// cut keeps length tokens and makes windows of the rest.
func (t Truncation) cut(e *Encoding, length int) error {
	n := e.Len()
	if length >= n {
		return nil
	}
	if length == 0 {
		all := *e
		*e = newEncoding(0)
		e.setType(0)
		e.Overflow = []Encoding{all}
		return nil
	}
	if t.Stride >= length {
		return failure.Data("truncation.stride: %d must be less than the %d tokens that are kept", t.Stride, length)
	}
	step := length - t.Stride
	if n/step*length > maxOverflow {
		return failure.Data("truncation.stride: %d of %d tokens in each window makes too much of a text of %d", t.Stride, length, n)
	}
	var windows []Encoding
	if t.Direction == "Left" {
		for stop := n; ; stop -= step {
			start := max(stop-length, 0)
			windows = append(windows, e.window(start, stop))
			if start == 0 {
				break
			}
		}
	} else {
		for start := 0; ; start += step {
			stop := min(start+length, n)
			windows = append(windows, e.window(start, stop))
			if stop == n {
				break
			}
		}
	}
	*e = windows[0]
	e.Overflow = windows[1:]
	return nil
}

// pad fills an encoding and its overflow.
func (p Padding) pad(e *Encoding) error {
	length := p.Length
	if p.Longest {
		length = e.Len()
	}
	if p.MultipleOf > 1 && length%p.MultipleOf > 0 {
		length += p.MultipleOf - length%p.MultipleOf
	}
	if (len(e.Overflow)+1)*length > maxOverflow && len(e.Overflow) > 0 {
		return failure.Data("padding: %d windows of %d tokens are too many", len(e.Overflow)+1, length)
	}
	p.fill(e, length)
	for i := range e.Overflow {
		p.fill(&e.Overflow[i], length)
	}
	return nil
}

func (p Padding) fill(e *Encoding, length int) {
	n := length - e.Len()
	if n <= 0 {
		return
	}
	pad := Encoding{
		IDs: slices.Repeat([]int32{p.ID}, n), Tokens: slices.Repeat([]string{p.Token}, n),
		Offsets: make([]Span, n), TypeIDs: slices.Repeat([]int32{p.TypeID}, n),
	}
	over := e.Overflow
	if p.Direction == "Left" {
		*e = pad.join(*e)
		e.PadLeft = n
	} else {
		*e = e.join(pad)
		e.PadRight = n
	}
	e.Overflow = over
}
