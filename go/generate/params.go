package generate

import (
	"math"

	"github.com/graftlm/graft/go/failure"
)

// Params is how an answer is drawn. The zero value is greedy, until the
// context is full.
type Params struct {
	MaxNewTokens      int     // 0: as many as the context holds
	Temperature       float64 // 0: greedy
	TopK              int     // 0: all
	TopP              float64 // 0 or 1: all
	MinP              float64 // 0: all
	RepetitionPenalty float64 // 0 or 1: none; counts the prompt too
	// Seed and Stream decide the random numbers: prompt i of a call draws from
	// stream Stream+i, token by token. So the same call gives the same tokens,
	// and a prompt alone those that it gets as prompt i among others, if it is
	// given stream i.
	Seed       uint64
	Stream     int
	StopTokens []int32 // end an answer; they are no part of it
	// Mixes are the weights of the adapters, for each prompt or, if there is
	// one, for all; none: each adapter has weight 1.
	Mixes []Mix
	// Reuse keeps what the cache holds of earlier calls where a prompt begins
	// with the same tokens. Without it every call computes the same things in
	// the same order, and the same call gives the same bits.
	Reuse bool
	// Done is given each answer when it is complete, with the number of its
	// prompt; it may be nil. Text.Each does so with text.
	Done func(prompt int, c Completion)
}

// Mix has a weight for each adapter of Options.Adapters, 0 for one that does
// not take part.
type Mix []float32

// mix is that of a prompt.
func (p Params) mix(prompt, adapters int) Mix {
	switch {
	case len(p.Mixes) == 1:
		return p.Mixes[0]
	case prompt < len(p.Mixes):
		return p.Mixes[prompt]
	}
	all := make(Mix, adapters)
	for i := range all {
		all[i] = 1
	}
	return all
}

// checkMixes refuses weights that are not for these prompts and adapters.
func (p Params) checkMixes(prompts, adapters int) error {
	if n := len(p.Mixes); n > 1 && n != prompts {
		return failure.Config("%d mixes of adapters were given for %d prompts; give one for each, or one for all", n, prompts)
	}
	for i, m := range p.Mixes {
		if len(m) != adapters {
			return failure.Config("mix %d has %d weights, and %d adapters are loaded", i+1, len(m), adapters)
		}
		for _, w := range m {
			if w-w != 0 {
				return failure.Config("mix %d has a weight of %v, want a finite number", i+1, w)
			}
		}
	}
	return nil
}

// filters are the constants of a sampling program.
type filters struct {
	temperature, topP, minP, penalty float64
	topK                             int
}

func (p Params) filters() filters {
	f := filters{p.Temperature, p.TopP, p.MinP, p.RepetitionPenalty, p.TopK}
	if f.topP == 0 {
		f.topP = 1
	}
	if f.penalty == 0 {
		f.penalty = 1
	}
	return f
}

func (p Params) check() error {
	switch f := p.filters(); {
	case p.MaxNewTokens < 0:
		return failure.Config("max_new_tokens is %d, want 0 (as many as fit) or more", p.MaxNewTokens)
	case !(f.temperature >= 0) || math.IsInf(f.temperature, 0):
		return failure.Config("temperature is %v, want 0 (greedy) or more", f.temperature)
	case f.topK < 0:
		return failure.Config("top_k is %d, want 0 (all) or more", f.topK)
	case !(f.topP > 0 && f.topP <= 1):
		return failure.Config("top_p is %v, want more than 0 and at most 1", f.topP)
	case !(f.minP >= 0 && f.minP <= 1):
		return failure.Config("min_p is %v, want 0 to 1", f.minP)
	case !(f.penalty > 0) || math.IsInf(f.penalty, 0):
		return failure.Config("repetition_penalty is %v, want a positive number", f.penalty)
	case p.Stream < 0 || p.Stream > math.MaxInt32:
		return failure.Config("stream is %d, want 0 to %d", p.Stream, math.MaxInt32)
	}
	return nil
}

// seed is that of token number n of a stream, as bindings.SampleArgs has it.
func (p Params) seed(stream, n int) [4]uint32 {
	return [4]uint32{uint32(p.Seed), uint32(p.Seed >> 32), uint32(n), uint32(stream)}
}

// Reason is why an answer ended.
type Reason string

// Stop: a stop token, or a stop string; Length: MaxNewTokens or the context;
// Halted: the callback said so; Cancelled: the context ended first.
const (
	Stop      Reason = "stop"
	Length    Reason = "length"
	Halted    Reason = "halted"
	Cancelled Reason = "cancelled"
)

// Completion is the answer to one prompt.
type Completion struct {
	Tokens []int32
	Reason Reason
	Prompt int // tokens of the prompt
	Reused int // of these, found in the cache
}
