package data

import (
	"strings"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
)

// Tokenizer is what encoding needs of a tokenizer.
type Tokenizer interface {
	Encode(text string, addSpecial bool) (tokenizer.Encoding, error)
	ID(token string) (int32, bool)
	Size() int
}

// TrainOn says which tokens are trained.
type TrainOn string

// In a conversation: every assistant turn, the last one, or everything. A
// prompt with a completion trains the completion under all but TrainAll. Text
// has no turns and is trained whole; only TrainCompletion and TrainLast refuse
// it. Labels of records of tokens stand as they are.
const (
	TrainAssistant  TrainOn = "assistant"
	TrainCompletion TrainOn = "completion"
	TrainLast       TrainOn = "last"
	TrainAll        TrainOn = "all"
)

// Encoder turns records into rows.
type Encoder struct {
	Tokenizer Tokenizer
	Template  *chat.Template // for conversations; may be nil without any
	Chat      chat.Options
	EOS       string  // ends text and completions that do not end with it; "" for none
	TrainOn   TrainOn // empty is TrainAssistant
	Labelled  bool    // records are texts with labels, and no token is trained
}

// Encoded is a record as tokens. Spans are bytes of Text.
type Encoded struct {
	IDs        []int32
	Labels     []int32 // the id, or Masked
	Text       string  // "" for records of tokens
	Offsets    []tokenizer.Span
	Tail       int // tokens at the end that the tokenizer added, of a text with a label
	Straddling int // tokens half inside a trained span; they are trained
}

// Targets is the number of trained tokens. The first token of a document
// is never one.
func (e Encoded) Targets() (n int) {
	for _, l := range e.Labels {
		if l != Masked {
			n++
		}
	}
	return n
}

// document is a text, what of it is trained, and how it is to be encoded.
type document struct {
	text       string
	trained    []chat.Span
	addSpecial bool // special tokens of the tokenizer: yes, unless a template wrote them
	eos        bool
	prompt     int  // bytes of text before a completion; 0 without one
	whole      bool // all of it is trained, with what the tokenizer adds
}

// Encode tokenises a record and marks its trained tokens as TRL does: the text
// is encoded whole, and a token is trained if any of it lies inside a trained
// span. Nothing trained is an error.
func (e Encoder) Encode(r Record) (Encoded, error) {
	if e.Labelled {
		return e.labelled(r)
	}
	if r.Form == Tokens {
		return e.tokens(r)
	}
	d, err := e.document(r)
	if err != nil {
		return Encoded{}, err
	}
	enc, err := e.Tokenizer.Encode(d.text, d.addSpecial)
	if err != nil {
		return Encoded{}, failure.As(failure.ErrData, err)
	}
	out := Encoded{IDs: enc.IDs, Offsets: enc.Offsets, Text: d.text}
	if d.eos && e.EOS != "" && !strings.HasSuffix(d.text, e.EOS) {
		if err := e.appendEOS(&out); err != nil {
			return Encoded{}, err
		}
	}
	out.Labels = make([]int32, len(out.IDs))
	next := 0
	for i, at := range out.Offsets {
		out.Labels[i] = Masked
		added := at.Start == at.End && at.Start == 0 // by the post-processor, as BOS is
		for next < len(d.trained) && d.trained[next].End <= at.Start && at.Start < at.End {
			next++
		}
		if next == len(d.trained) || added && !d.whole {
			continue
		}
		span := d.trained[next]
		if added || at.End > span.Start && at.Start < span.End || at.Start == at.End && at.Start >= span.Start && at.End <= span.End {
			out.Labels[i] = out.IDs[i]
		}
		if !added && at.Start < at.End && (at.Start < span.Start && at.End > span.Start || at.Start < span.End && at.End > span.End) {
			out.Straddling++
		}
	}
	if out.Straddling > 0 && d.prompt > 0 && !d.whole {
		if err := e.fromDivergence(d, &out); err != nil {
			return Encoded{}, err
		}
	}
	if d.eos && len(out.IDs) > 0 {
		e.trainEOS(&out)
	}
	return out.check()
}

// fromDivergence trains a completion from where its tokens with the prompt and
// those of the prompt alone part, as TRL does where they merge across the
// border.
func (e Encoder) fromDivergence(d document, out *Encoded) error {
	prompt, err := e.Tokenizer.Encode(d.text[:d.prompt], d.addSpecial)
	if err != nil {
		return failure.As(failure.ErrData, err)
	}
	same := true
	for i, id := range out.IDs {
		if same = same && i < len(prompt.IDs) && prompt.IDs[i] == id; !same {
			out.Labels[i] = id
		}
	}
	return nil
}

// appendEOS puts the end of the text, unless the tokenizer did.
func (e Encoder) appendEOS(out *Encoded) error {
	id, ok := e.Tokenizer.ID(e.EOS)
	if !ok {
		return failure.Config("the end token %q is not in the vocabulary of the tokenizer", e.EOS)
	}
	if n := len(out.IDs); n == 0 || out.IDs[n-1] != id {
		out.IDs = append(out.IDs, id)
		out.Offsets = append(out.Offsets, tokenizer.Span{Start: len(out.Text), End: len(out.Text)})
	}
	return nil
}

// trainEOS trains the end token wherever it came from.
func (e Encoder) trainEOS(out *Encoded) {
	last := len(out.IDs) - 1
	if id, ok := e.Tokenizer.ID(e.EOS); ok && e.EOS != "" && out.IDs[last] == id {
		out.Labels[last] = id
	}
}

func (e Encoder) tokens(r Record) (Encoded, error) {
	out := Encoded{IDs: r.IDs, Labels: append([]int32(nil), r.Labels...)}
	if r.Labels == nil {
		out.Labels = append(out.Labels, r.IDs...)
	}
	for i, id := range r.IDs {
		if int(id) >= e.Tokenizer.Size() {
			return Encoded{}, failure.Data("input_ids[%d] is %d; the tokenizer has the ids 0 to %d", i, id, e.Tokenizer.Size()-1)
		}
	}
	return out.check()
}

func (e Encoded) check() (Encoded, error) {
	if len(e.Labels) > 0 {
		e.Labels[0] = Masked
	}
	if e.Targets() == 0 {
		return e, errUntrained
	}
	return e, nil
}

var errUntrained = failure.Data("no token of the record would be trained")

// returns reports whether decoding gives the text back, but for what the
// tokenizer and the end token added to it, and space at the ends.
func (e Encoded) returns(decode func([]int32) (string, error)) bool {
	var ids []int32
	for i, at := range e.Offsets {
		if at.Start < at.End {
			ids = append(ids, e.IDs[i])
		}
	}
	text, err := decode(ids)
	return err == nil && strings.TrimSpace(text) == strings.TrimSpace(e.Text)
}

func (e Encoder) document(r Record) (document, error) {
	d := document{addSpecial: true, eos: true}
	switch r.Form {
	case Text:
		if e.TrainOn == TrainCompletion || e.TrainOn == TrainLast {
			return d, failure.Data("a record of text has no completion; use train_on: all, or prompt and completion")
		}
		d.text, d.whole = r.Text, true
	case Alpaca, PromptCompletion:
		if r.PromptTurns > 0 {
			return e.conversation(r)
		}
		d.text = r.Prompt + r.Completion
		d.prompt = len(r.Prompt)
		d.trained = []chat.Span{{Start: d.prompt, End: len(d.text)}}
		d.whole = e.TrainOn == TrainAll
	case Segments:
		d = segments(r.Segments)
		d.whole = e.TrainOn == TrainAll
	case Messages, ShareGPT:
		return e.conversation(r)
	default:
		return d, failure.Data("records of form %s cannot train a language model", r.Form)
	}
	if d.whole {
		d.trained = []chat.Span{{Start: 0, End: len(d.text)}}
	}
	return d, nil
}

// conversation renders by the template, which decides about special tokens.
func (e Encoder) conversation(r Record) (d document, err error) {
	if e.Template == nil {
		return d, failure.Config("a conversation needs a chat template, and the model has none; name a built-in one: %s", strings.Join(chat.BuiltinNames(), ", "))
	}
	if r.PromptTurns > 0 && e.TrainOn != TrainAll && e.TrainOn != TrainLast {
		return e.promptTurns(r)
	}
	if e.TrainOn == TrainAll {
		out, err := e.Template.Render(r.Conversation, e.Chat)
		d.text, d.trained, d.whole = out.Text, []chat.Span{{Start: 0, End: len(out.Text)}}, true
		return d, err
	}
	out, err := e.Template.RenderSpans(r.Conversation, e.Chat)
	if err != nil {
		return d, err
	}
	d.text, d.trained = out.Text, out.Assistant
	if e.TrainOn == TrainCompletion || e.TrainOn == TrainLast {
		last := len(d.trained) - 1
		for last > 0 && d.trained[last-1].End == d.trained[last].Start {
			last-- // one turn in several pieces
		}
		d.trained = d.trained[max(0, last):]
	}
	return d, nil
}

// promptTurns trains all that follows the prompt and the opening of the answer.
func (e Encoder) promptTurns(r Record) (d document, err error) {
	out, err := e.Template.Render(r.Conversation, e.Chat)
	if err != nil {
		return d, err
	}
	prompt, options := r.Conversation, e.Chat
	prompt.Messages = prompt.Messages[:r.PromptTurns]
	options.AddGenerationPrompt = true
	before, err := e.Template.Render(prompt, options)
	if err != nil {
		return d, err
	}
	if !strings.HasPrefix(out.Text, before.Text) {
		return d, failure.Data("template %s writes the prompt otherwise when the completion follows, so they cannot be told apart; use messages", e.Template.Name())
	}
	d.text, d.prompt, d.trained = out.Text, len(before.Text), []chat.Span{{Start: len(before.Text), End: len(out.Text)}}
	return d, nil
}
