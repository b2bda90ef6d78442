package graft

import (
	"context"
	"errors"
	"slices"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/model"
)

// SpeakerOptions says how a model is opened for generation.
type SpeakerOptions struct {
	Model string // directory
	// Adapters are added to each other with their weights. With more than one
	// the weights can change: see Speaker.Mix. With Live also of a single one,
	// and others can be loaded later: see Speaker.Use.
	Adapters  []Weighted
	Live      bool
	Device    string
	Threads   int
	DType     string
	Quant     model.Quantization // as model.quant; "" is auto
	MaxTokens int                // prompt and answer; 0: 2048, or what the model was made for
	Sequences int                // served at once; 0: 1
	Backend   bindings.Backend
	Progress  func(what string, done, total int64)
	Compiling func(bindings.Compiled) // as in Options
}

// Speaker is a model opened for generation.
type Speaker struct {
	Base *Base
	Text generate.Text

	options  SpeakerOptions
	adapters adapterSet // empty unless they can be weighed
}

// Mix gives the weights of adapters for generate.Params.Mixes from a text:
// "A:0.7,B:0.3", "none", or "" for those that the adapters were loaded with. A
// name is a loaded directory, or the last parts of it.
func (s *Speaker) Mix(text string) (generate.Mix, error) {
	if len(s.adapters.loaded) == 0 {
		return nil, failure.Usage("adapters can be chosen and weighed where several are loaded; name each with --adapter")
	}
	return s.adapters.mix(text)
}

// Adapters names the adapters that Mix can weigh.
func (s *Speaker) Adapters() (names []string) {
	for _, a := range s.adapters.loaded {
		names = append(names, a.Dir)
	}
	return names
}

// OpenSpeaker loads a model, and an adapter if one is named.
func OpenSpeaker(ctx context.Context, o SpeakerOptions) (*Speaker, error) {
	b, err := OpenBase(o.Model, o.DType)
	if err != nil {
		return nil, err
	}
	s := &Speaker{Base: b, options: o, Text: generate.Text{Tokenizer: b.Tokenizer}}
	if err := s.begin(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return s, nil
}

func (s *Speaker) begin(ctx context.Context) (err error) {
	if s.Base.Tokenizer == nil {
		return failure.NoInput("%s has no tokenizer.json, which generation needs", s.Base.Dir)
	}
	next, err := s.prepare(s.options.Adapters)
	if err != nil {
		return err
	}
	if s.options.Backend == nil {
		if s.options.Backend, err = device.Open(s.options.Device, s.options.Threads); err != nil {
			return err
		}
	}
	announce(s.options.Backend, s.options.Compiling)
	return s.open(ctx, next)
}

// equipped is a model with adapters, and nothing on a device yet.
type equipped struct {
	model  *model.Model
	all    []Weighted
	live   adapterSet
	values map[string][]float32
}

// prepare reads adapters and sees that they fit the base.
func (s *Speaker) prepare(all []Weighted) (e equipped, err error) {
	b := s.Base
	e.model, e.all = model.New(b.Config), all
	live := len(all) > 1
	if s.options.Live && len(all) == 1 {
		_, err := stackable(all[0].Dir)
		live = err == nil
	}
	if len(all) > 0 {
		if e.values, err = stack(e.model, all, live); err != nil {
			return e, err
		}
	}
	if live {
		if e.live, err = newAdapterSet(all); err != nil {
			return e, err
		}
	}
	if err := e.model.Check(b.Files); err != nil {
		return e, err
	}
	return e, e.model.Quantize(b.Files, s.options.Quant, true)
}

// open puts it on the device.
func (s *Speaker) open(ctx context.Context, e equipped) error {
	o := s.options
	g, err := generate.Open(ctx, o.Backend, generate.Options{
		Model: e.model, Types: s.Base.Types, MaxTokens: o.MaxTokens, Sequences: o.Sequences, Source: s.Base.Files,
		Adapter: e.values, Adapters: len(e.live.loaded),
		Progress: part(o.Progress, "loading the model"),
	})
	if err != nil {
		return err
	}
	s.Text.Generator, s.adapters, s.options.Adapters = g, e.live, e.all
	return nil
}

// Use gives the weights of adapters as Mix does, and loads what is not loaded:
// LoRA adapters beside those that are there, any other kind in their place. The
// base is read anew for that, and Text has another generator. Needs
// SpeakerOptions.Live. After an error everything is as it was, unless the
// device could not take it back: then Text has no generator.
func (s *Speaker) Use(ctx context.Context, text string) (generate.Mix, error) {
	all, err := s.adapters.with(s.options.Adapters, text)
	if err != nil {
		return nil, err
	}
	if slices.Equal(all, s.options.Adapters) {
		return s.adapters.weights(text)
	}
	next, err := s.prepare(all)
	if err != nil {
		return nil, err
	}
	before, err := s.prepare(s.options.Adapters)
	if err != nil {
		return nil, err
	}
	mix, err := next.live.weights(text)
	if err != nil {
		return nil, err
	}
	err = s.Text.Generator.Close()
	s.Text.Generator = nil
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx, next); err != nil {
		return nil, errors.Join(err, s.open(ctx, before))
	}
	return mix, nil
}

// Encode gives the tokens of a plain prompt.
func (s *Speaker) Encode(prompt string) ([]int32, error) {
	e, err := s.Base.Tokenizer.Encode(prompt, true)
	return e.IDs, err
}

// Chat begins a conversation. template is as in data.template.
func (s *Speaker) Chat(template, system string, p generate.Params) (*generate.Chat, error) {
	t, err := s.Base.Template(template)
	if err != nil {
		return nil, err
	}
	p.StopTokens = append(p.StopTokens, s.Base.StopTokens()...)
	c := &generate.Chat{
		Text: s.Text, Template: t, Params: p,
		Options: chat.Options{AddGenerationPrompt: true, Tokens: s.Base.SpecialTokens()},
	}
	if system != "" {
		c.Conversation.Messages = []chat.Message{{Role: "system", Content: system}}
	}
	return c, nil
}

// Close releases the device and the files.
func (s *Speaker) Close() error {
	var err error
	if g := s.Text.Generator; g != nil {
		err = g.Close()
	}
	s.Base.Close()
	return err
}
