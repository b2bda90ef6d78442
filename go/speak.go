package graft

import (
	"context"

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
	// the weights can change: see Speaker.Mix.
	Adapters  []Weighted
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

	adapters adapterSet // empty unless several are loaded
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
	s, err := speaker(ctx, b, o)
	if err != nil {
		b.Close()
	}
	return s, err
}

func speaker(ctx context.Context, b *Base, o SpeakerOptions) (*Speaker, error) {
	if b.Tokenizer == nil {
		return nil, failure.NoInput("%s has no tokenizer.json, which generation needs", b.Dir)
	}
	m := model.New(b.Config)
	var values map[string][]float32
	var adapters adapterSet
	if live := len(o.Adapters) > 1; len(o.Adapters) > 0 {
		var err error
		if values, err = stack(m, o.Adapters, live); err != nil {
			return nil, err
		}
		if live {
			if adapters, err = newAdapterSet(o.Adapters); err != nil {
				return nil, err
			}
		}
	}
	backend := o.Backend
	if backend == nil {
		var err error
		if backend, err = device.Open(o.Device, o.Threads); err != nil {
			return nil, err
		}
	}
	announce(backend, o.Compiling)
	if err := m.Check(b.Files); err != nil {
		return nil, err
	}
	if err := m.Quantize(b.Files, o.Quant, true); err != nil {
		return nil, err
	}
	g, err := generate.Open(ctx, backend, generate.Options{
		Model: m, Types: b.Types, MaxTokens: o.MaxTokens, Sequences: o.Sequences, Source: b.Files, Adapter: values, Adapters: len(adapters.loaded),
		Progress: func(done, total int64) {
			if o.Progress != nil {
				o.Progress("loading the model", done, total)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return &Speaker{b, generate.Text{Generator: g, Tokenizer: b.Tokenizer}, adapters}, nil
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
	err := s.Text.Generator.Close()
	s.Base.Close()
	return err
}
