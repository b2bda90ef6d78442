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
	Model     string // directory
	Adapter   string // directory; "" for none
	Scale     float64
	Device    string
	Threads   int
	DType     string
	Quant     model.Quantization // as model.quant; "" is auto
	MaxTokens int                // prompt and answer; 0: 2048, or what the model was made for
	Sequences int                // served at once; 0: 1
	Backend   bindings.Backend
	Progress  func(what string, done, total int64)
}

// Speaker is a model opened for generation.
type Speaker struct {
	Base *Base
	Text generate.Text
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
	if o.Adapter != "" {
		scale := o.Scale
		if scale == 0 {
			scale = 1
		}
		var err error
		if _, values, err = Attach(m, o.Adapter, scale); err != nil {
			return nil, err
		}
	}
	backend := o.Backend
	if backend == nil {
		var err error
		if backend, err = device.Open(o.Device, o.Threads); err != nil {
			return nil, err
		}
	}
	if err := m.Check(b.Files); err != nil {
		return nil, err
	}
	if err := m.Quantize(b.Files, o.Quant, true); err != nil {
		return nil, err
	}
	g, err := generate.Open(ctx, backend, generate.Options{
		Model: m, Types: b.Types, MaxTokens: o.MaxTokens, Sequences: o.Sequences, Source: b.Files, Adapter: values,
		Progress: func(done, total int64) {
			if o.Progress != nil {
				o.Progress("loading the model", done, total)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return &Speaker{b, generate.Text{Generator: g, Tokenizer: b.Tokenizer}}, nil
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
