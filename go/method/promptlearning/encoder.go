package promptlearning

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Encoder is the shape of the network that computes virtual tokens from an
// embedding of their number: layers of a width with a function between them.
type Encoder struct {
	Tokens, Dim int   // of the embedding
	Hidden      []int // outputs of the hidden layers
	Function    bindings.ActivationFunction
	Out         []int // outputs of the layers that stand side by side at the end
}

// Attach adds the network's parameters to a model. They begin as PyTorch's
// layers do: the embedding normal, the rest U(−1/√in, 1/√in).
func (e Encoder) Attach(m *model.Model, seed uint64) *nn.PromptEncoder {
	site := uint32(0)
	param := func(name string, fill func(v []float32, site uint32), shape ...int) *nn.Param {
		site++
		at := site
		return m.Params.Add(&nn.Param{
			Name: "prompt_encoder." + name, Shape: shape, Trainable: true, Group: nn.Group{NoDecay: len(shape) == 1},
			Init: func(v []float32) { fill(v, at) },
		})
	}
	linear := func(name string, out, in int) *nn.Linear {
		uniform := func(v []float32, at uint32) { Uniform(v, 1/math.Sqrt(float64(in)), seed, at) }
		return &nn.Linear{
			Name: "prompt_encoder." + name,
			W:    param(name+".weight", uniform, out, in), Bias: param(name+".bias", uniform, out),
		}
	}
	n := &nn.PromptEncoder{Function: e.Function}
	n.Embedding = param("embedding.weight", func(v []float32, at uint32) { Normal(v, 1, seed, at) }, e.Tokens, e.Dim)
	in := e.Dim
	for i, out := range e.Hidden {
		n.Hidden = append(n.Hidden, linear(fmt.Sprintf("hidden.%d", i), out, in))
		in = out
	}
	for i, out := range e.Out {
		n.Out = append(n.Out, linear(fmt.Sprintf("out.%d", i), out, in))
	}
	return n
}

// Compute gives the results [k, out] of each output layer on the host, for the
// file: PEFT saves what the network gives, and not the network.
func Compute(e *nn.PromptEncoder, values method.Values) ([][]float32, error) {
	x, err := values(e.Embedding.Name)
	if err != nil {
		return nil, err
	}
	apply := func(l *nn.Linear, x []float32) ([]float32, error) {
		w, err := values(l.W.Name)
		if err != nil {
			return nil, err
		}
		bias, err := values(l.Bias.Name)
		if err != nil {
			return nil, err
		}
		in, out := l.In(), l.Out()
		y := make([]float32, len(x)/in*out)
		for i := range y {
			sum := float64(bias[i%out])
			for j, v := range w[i%out*in : (i%out+1)*in] {
				sum += float64(v) * float64(x[i/out*in+j])
			}
			y[i] = float32(sum)
		}
		return y, nil
	}
	for _, l := range e.Hidden {
		if x, err = apply(l, x); err != nil {
			return nil, err
		}
		for i, v := range x {
			switch e.Function {
			case bindings.Tanh:
				x[i] = float32(math.Tanh(float64(v)))
			case bindings.ReLU:
				x[i] = max(v, 0)
			default:
				panic("promptlearning: no such function")
			}
		}
	}
	all := make([][]float32, len(e.Out))
	for i, l := range e.Out {
		if all[i], err = apply(l, x); err != nil {
			return nil, err
		}
	}
	return all, nil
}
