package nn

import "github.com/graftlm/graft/bindings"

// Objective is what a model is trained for: the loss of a micro-batch. A
// Decoder predicts its next tokens; a Classifier puts a head on a Body.
type Objective interface {
	// ForwardBackward adds the loss of one micro-batch to loss [2], and its
	// gradients to those of the trainable parameters. It leaves the activation
	// stack as it found it.
	ForwardBackward(r Reading, loss bindings.Tensor, in Batch)
	// Loss adds the loss alone. Where in.Output is valid it also writes what
	// the model gives for each sequence.
	Loss(r Reading, loss bindings.Tensor, in Batch)
}

// Body turns the tokens of a micro-batch into states [T, Width] that a head
// reads. Decoder and Encoder are bodies.
type Body interface {
	// Through runs forward, gives the states x to top, which writes their
	// gradient to dx unless that is not valid, and runs backward.
	Through(r Reading, in Batch, top func(x, dx bindings.Tensor))
	// States writes the states without a record.
	States(r Reading, states bindings.Tensor, in Batch)
	// Linears lists the linear layers of all blocks.
	Linears() []*Linear
	Width() int
}

var (
	_ Objective = (*Decoder)(nil)
	_ Body      = (*Decoder)(nil)
	_ Objective = (*Classifier)(nil)
	_ Objective = (*Extractor)(nil)
	_ Body      = (*Encoder)(nil)
)
