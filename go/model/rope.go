package model

import (
	"fmt"
	"math"
)

// Rope is rotary positions with one of the scalings of transformers
// (modeling_rope_utils.py).
type Rope struct {
	Type         string // default, linear, dynamic, llama3, yarn
	Theta        float64
	Dim          int // elements of a head that rotate
	Factor       float64
	LowFreq      float64 // llama3
	HighFreq     float64
	Original     int // original_max_position_embeddings
	BetaFast     float64
	BetaSlow     float64
	AttnFactor   float64 // yarn: 0 means from Factor
	MScale       float64
	MScaleAll    float64
	Truncate     bool
	MaxPositions int
}

type ropeFields struct {
	Theta      *float64       `json:"rope_theta"`
	Scaling    *ropeParameter `json:"rope_scaling"`
	Parameters *ropeParameter `json:"rope_parameters"`
}

type ropeParameter struct {
	Type       string   `json:"rope_type"`
	OldType    string   `json:"type"`
	Theta      *float64 `json:"rope_theta"`
	Factor     *float64 `json:"factor"`
	Low        *float64 `json:"low_freq_factor"`
	High       *float64 `json:"high_freq_factor"`
	Original   *int     `json:"original_max_position_embeddings"`
	BetaFast   *float64 `json:"beta_fast"`
	BetaSlow   *float64 `json:"beta_slow"`
	AttnFactor *float64 `json:"attention_factor"`
	MScale     *float64 `json:"mscale"`
	MScaleAll  *float64 `json:"mscale_all_dim"`
	Truncate   *bool    `json:"truncate"`
	Partial    *float64 `json:"partial_rotary_factor"`
}

// rope reads rope_parameters first, then rope_theta and rope_scaling.
func (f *ropeFields) rope(c Config) (Rope, error) {
	p := f.Parameters
	if p == nil {
		p = f.Scaling
	}
	if p == nil {
		p = &ropeParameter{}
	}
	r := Rope{
		Type: p.Type, Theta: or(p.Theta, or(f.Theta, 10000)), Dim: c.HeadDim, MaxPositions: c.MaxPositions,
		Factor: or(p.Factor, 1), LowFreq: or(p.Low, 1), HighFreq: or(p.High, 4),
		Original: or(p.Original, c.MaxPositions), BetaFast: or(p.BetaFast, 32), BetaSlow: or(p.BetaSlow, 1),
		AttnFactor: or(p.AttnFactor, 0), MScale: or(p.MScale, 0), MScaleAll: or(p.MScaleAll, 0), Truncate: or(p.Truncate, true),
	}
	if r.Type == "" {
		r.Type = p.OldType
	}
	if r.Type == "" {
		r.Type = "default"
	}
	if p.Partial != nil && *p.Partial != 1 {
		return r, fmt.Errorf("partial_rotary_factor is %v, want 1", *p.Partial)
	}
	switch r.Type {
	case "default", "linear", "dynamic", "llama3", "yarn":
	default:
		return r, fmt.Errorf("rope type %q is not built in; graft has default, linear, dynamic, llama3, yarn", r.Type)
	}
	if !(r.Theta > 0) || !(r.Factor > 0) || r.Original < 1 || math.IsInf(r.Theta+r.Factor, 0) {
		return r, fmt.Errorf("rope: theta %v, factor %v and original_max_position_embeddings %d must be positive", r.Theta, r.Factor, r.Original)
	}
	if r.Type == "llama3" && r.HighFreq == r.LowFreq {
		return r, fmt.Errorf("rope: low_freq_factor and high_freq_factor are both %v", r.LowFreq)
	}
	return r, nil
}

// Frequencies are the Dim/2 angles per position, in float32 as transformers
// computes them, for a batch whose longest sequence has length tokens (only
// "dynamic" looks at it).
func (r Rope) Frequencies(length int) []float32 {
	base := r.Theta
	if r.Type == "dynamic" && length > r.MaxPositions {
		d := float64(r.Dim)
		base *= math.Pow(r.Factor*float64(length)/float64(r.MaxPositions)-(r.Factor-1), d/(d-2))
	}
	f := make([]float32, r.Dim/2)
	for i := range f {
		f[i] = float32(r.scale(i, 1/math.Pow(base, float64(2*i)/float64(r.Dim))))
	}
	return f
}

func (r Rope) scale(i int, inv float64) float64 {
	switch r.Type {
	case "linear":
		return inv / r.Factor
	case "llama3":
		wavelength := 2 * math.Pi / inv
		original := float64(r.Original)
		switch {
		case wavelength > original/r.LowFreq:
			return inv / r.Factor
		case wavelength < original/r.HighFreq:
			return inv
		}
		s := (original/wavelength - r.LowFreq) / (r.HighFreq - r.LowFreq)
		return (1-s)*inv/r.Factor + s*inv
	case "yarn":
		low, high := r.correction(r.BetaFast), r.correction(r.BetaSlow)
		if r.Truncate {
			low, high = math.Floor(low), math.Ceil(high)
		}
		low, high = max(low, 0), min(high, float64(r.Dim-1))
		if low == high {
			high += 0.001
		}
		ramp := min(1, max(0, (float64(i)-low)/(high-low)))
		return inv/r.Factor*ramp + inv*(1-ramp)
	}
	return inv
}

// correction is the dimension whose wavelength makes the given number of turns
// over the original context (YaRN, arXiv 2309.00071).
func (r Rope) correction(turns float64) float64 {
	return float64(r.Dim) * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
}

// Scale multiplies cos and sin: 1, or YaRN's attention factor.
func (r Rope) Scale() float64 {
	if r.Type != "yarn" {
		return 1
	}
	if r.AttnFactor != 0 {
		return r.AttnFactor
	}
	mscale := func(m float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(r.Factor) + 1
	}
	if r.MScale != 0 && r.MScaleAll != 0 {
		return mscale(r.MScale) / mscale(r.MScaleAll)
	}
	return mscale(1)
}
