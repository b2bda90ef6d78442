package generate

import (
	"context"
	"strings"

	"github.com/graftlm/graft/go/tokenizer"
)

// Text decodes what a generator draws while it is drawn, and knows stop
// strings.
type Text struct {
	Generator *Generator
	Tokenizer *tokenizer.Tokenizer
}

// TextCompletion is an answer as tokens and as text. Where a stop string ended
// it, Tokens include those of the stop string and Text ends before it.
type TextCompletion struct {
	Completion
	Text string
}

// Generate answers prompts of token ids. An answer ends with Reason Stop once
// one of the stop strings is complete, at the earliest place where one begins.
// onText is called with the text of each prompt in pieces of whole characters,
// never with a part of a stop string, and may be nil; the pieces of a prompt
// add up to its Text.
func (t Text) Generate(ctx context.Context, prompts [][]int32, p Params, stop []string, onText func(prompt int, text string)) ([]TextCompletion, error) {
	return t.Each(ctx, prompts, p, stop, onText, nil)
}

// Each is Generate that gives each answer as soon as it is complete, with the
// number of its prompt, while others are still being drawn; onDone may be nil.
func (t Text) Each(ctx context.Context, prompts [][]int32, p Params, stop []string, onText func(prompt int, text string), onDone func(prompt int, c TextCompletion)) ([]TextCompletion, error) {
	readers := make([]reader, len(prompts))
	for i := range readers {
		readers[i] = reader{stream: t.Tokenizer.Stream(true), stop: stopper{strings: stop}, emit: func(text string) {
			if text != "" && onText != nil {
				onText(i, text)
			}
		}}
	}
	if onDone != nil {
		p.Done = func(i int, c Completion) { onDone(i, readers[i].finish(c)) }
	}
	done, err := t.Generator.Generate(ctx, prompts, p, func(i int, id int32) bool {
		r := &readers[i]
		return !r.push(r.stream.Push(id))
	})
	out := make([]TextCompletion, len(done))
	for i, c := range done {
		out[i] = readers[i].finish(c)
	}
	return out, err
}

// reader is the text of one prompt's answer.
type reader struct {
	stream  *tokenizer.Stream
	stop    stopper
	text    strings.Builder
	emit    func(text string)
	stopped bool // by a stop string
	ended   bool
}

// push takes a piece of text and reports whether it completes a stop string.
func (r *reader) push(piece string) bool {
	text, stopped := r.stop.push(piece)
	r.write(text)
	r.stopped = stopped
	return stopped
}

func (r *reader) write(text string) {
	r.text.WriteString(text)
	r.emit(text)
}

// finish takes what was held back, once.
func (r *reader) finish(c Completion) TextCompletion {
	if !r.ended && !r.stopped && !r.push(r.stream.Flush()) {
		r.write(r.stop.held)
	}
	if r.ended = true; r.stopped { // only a stop string halts
		c.Reason = Stop
	}
	return TextCompletion{c, r.text.String()}
}

// stopper looks for stop strings in text that comes in pieces.
type stopper struct {
	strings []string
	held    string // the end of the text, which may be the beginning of one
}

// push takes the next piece and gives the text that is certain to stand before
// any stop string, and whether one is complete.
func (s *stopper) push(piece string) (text string, stopped bool) {
	s.held += piece
	at := -1
	for _, stop := range s.strings {
		if i := strings.Index(s.held, stop); stop != "" && i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at >= 0 {
		text, s.held = s.held[:at], ""
		return text, true
	}
	keep := 0
	for _, stop := range s.strings {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text, false
}
