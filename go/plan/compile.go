package plan

import (
	"errors"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/nn"
)

// Compile has a device that compiles its programs compile those of a step, with
// the largest bucket, and gives the compiler's own figures for each. Nothing is
// uploaded, and a device allocates nothing for it. It gives nil for a device
// that compiles nothing.
func (j Job) Compile(b bindings.Backend) (all []bindings.Compiled, err error) {
	if !b.Profile().CompilerScratch {
		return nil, nil
	}
	p, err := j.Count()
	if err != nil {
		return nil, err
	}
	dev, err := Open(b, p.Bytes)
	if err != nil {
		return nil, err
	}
	programs := Programs[string]{}
	defer func() { err = errors.Join(err, programs.Close(), dev.Close()) }()
	placed := j.Place(bindings.NewBoundedMemory(p.Bytes))
	prepare := func(name string, program func(bindings.Ops)) error {
		prepared, err := dev.Prepare(name, program)
		if err == nil {
			programs[name] = prepared
		}
		return err
	}
	if len(j.Train) > 0 {
		err = errors.Join(prepare("clear", placed.Clear), prepare("micro", placed.Micro(p.Bucket)), prepare("update", placed.Update))
	}
	if len(j.Eval) > 0 && err == nil {
		err = prepare("loss", placed.Loss(largest(j.Eval)))
	}
	if c, ok := dev.(bindings.Compiler); ok {
		all = c.Compiled()
	}
	return all, err
}

// largest is the bucket with the most tokens.
func largest(all []nn.Bucket) (most nn.Bucket) {
	for _, b := range all {
		if b.Tokens > most.Tokens {
			most = b
		}
	}
	return most
}
