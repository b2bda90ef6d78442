package nn

import "github.com/graftlm/graft/bindings"

// Classifier is a head on the states of a body: one pooled row for each
// sequence, BERT's pooler where there is one, and a linear layer, in the type
// of parameters (float32), with the loss of its logits.
//
// Sequence s of a micro-batch has the class Targets[s], or the row Values[s],
// and the weight Weights[s]: a bucket has as many targets as sequences.
type Classifier struct {
	Body    Body // nil: the pooled rows are staged, as Batch.Features
	Pooling bindings.Pooling
	Pooler  *Linear // nil: none; with tanh
	Out     *Linear // [C, h]
	Kind    bindings.ClassLoss
}

// ForwardBackward adds the loss and gradients of one micro-batch.
func (c *Classifier) ForwardBackward(r Reading, loss bindings.Tensor, in Batch) {
	if c.Body == nil {
		defer r.Release(r.Mark())
		c.classify(r, loss, bindings.Tensor{}, in.Features, in, true)
		return
	}
	c.Body.Through(r, in, func(x, dx bindings.Tensor) {
		defer r.Release(r.Mark())
		f := features{c.Body, c.Pooling, c.Pooler}
		p, s := f.forward(r, x, in)
		var dp bindings.Tensor
		if dx.Valid() || c.Pooler != nil && c.Pooler.Trains() {
			dp = r.Stat(p.Shape.Dims()...)
		}
		c.classify(r, loss, dp, p, in, true)
		f.backward(r, s, dx, dp, x, in)
	})
}

// Loss adds the loss of one micro-batch, and writes its logits to in.Output.
func (c *Classifier) Loss(r Reading, loss bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	in.Training = false
	p := in.Features
	if c.Body != nil {
		p = features{c.Body, c.Pooling, c.Pooler}.pooled(r, in)
	}
	c.classify(r, loss, bindings.Tensor{}, p, in, false)
}

// classify is the linear layer over pooled rows p and the loss, and both
// backward: to the layer's own parameters, and to dp where that is valid.
func (c *Classifier) classify(r Reading, loss, dp, p bindings.Tensor, in Batch, backward bool) {
	defer r.Release(r.Mark())
	n := p.Rows()
	z := in.Output
	if !z.Valid() {
		z = r.Stat(n, c.Out.Out())
	}
	s := c.Out.save(r, n, in)
	c.Out.forward(r, &s, z, p)
	a := bindings.ClassificationArgs{Logits: z, Weights: in.Weights, Inverse: in.Inverse, Loss: c.Kind}
	if c.Kind == bindings.SoftmaxCrossEntropy {
		a.Classes = in.Targets
	} else {
		a.Values = in.Values
	}
	if !backward {
		r.ClassificationLoss(loss, bindings.Tensor{}, a)
		return
	}
	dz := r.Stat(n, c.Out.Out())
	r.ClassificationLoss(loss, dz, a)
	c.Out.backward(r, s, dp, bindings.Set, dz)
}

// Extractor writes the pooled rows of a body [n, h] to in.Output: the features
// that a classifier without a body is trained on. It has no loss.
type Extractor struct {
	Body    Body
	Pooling bindings.Pooling
	Pooler  *Linear
}

// ForwardBackward does nothing: nothing is trained.
func (e *Extractor) ForwardBackward(Reading, bindings.Tensor, Batch) {}

// Loss writes the features of a micro-batch.
func (e *Extractor) Loss(r Reading, _ bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	in.Training = false
	r.Cast(in.Output, features{e.Body, e.Pooling, e.Pooler}.pooled(r, in))
}

// features is what turns the states of a body into a row for each sequence.
type features struct {
	body    Body
	pooling bindings.Pooling
	pooler  *Linear
}

// featureState is what it keeps for the backward pass.
type featureState struct {
	rows, dense bindings.Tensor // pooled; before tanh
	linear      linearState
}

// forward gives the rows [n, h] in the type of parameters.
func (f features) forward(r Reading, x bindings.Tensor, in Batch) (bindings.Tensor, featureState) {
	n := in.Bucket.Sequences
	p, s := r.Stat(n, f.body.Width()), featureState{rows: r.New(n, f.body.Width())}
	r.Pool(s.rows, x, in.Cu, f.pooling)
	if f.pooler == nil {
		r.Cast(p, s.rows)
		return p, s
	}
	s.dense, s.linear = r.Like(s.rows), f.pooler.save(r, n, in)
	f.pooler.forward(r, &s.linear, s.dense, s.rows)
	y := r.Like(s.dense)
	r.Activation(y, s.dense, bindings.Tanh)
	r.Cast(p, y)
	return p, s
}

// backward writes dx, where it is valid, from the gradient dp of the rows.
func (f features) backward(r Reading, s featureState, dx, dp, x bindings.Tensor, in Batch) {
	if !dp.Valid() {
		return
	}
	d := r.Like(s.rows)
	r.Cast(d, dp)
	if f.pooler != nil {
		r.ActivationBackward(s.dense, d, s.dense, bindings.Tanh)
		if !dx.Valid() {
			d = bindings.Tensor{}
		}
		f.pooler.backward(r, s.linear, d, bindings.Set, s.dense)
	}
	if dx.Valid() {
		r.PoolBackward(dx, d, x, in.Cu, f.pooling)
	}
}

// pooled gives the rows without a record, in the type of parameters.
func (f features) pooled(r Reading, in Batch) bindings.Tensor {
	p := r.Stat(in.Bucket.Sequences, f.body.Width())
	defer r.Release(r.Mark())
	x := r.New(in.Bucket.Tokens, f.body.Width())
	f.body.States(r, x, in)
	y, _ := f.forward(r, x, in)
	r.Cast(p, y)
	return p
}
