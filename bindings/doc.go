// Package bindings is what the training step is written against: tensors, the
// arenas they live in, the operations, and what a device is. It computes
// nothing and imports nothing but the standard library; the packages below it
// give the operations a meaning:
//
//	native     computes now: the CPU backend, or the CUDA library
//	pjrt       appends to a StableHLO module
//	count      counts bytes and checks every call
//	reference  plain Go loops over float32 or float64, the oracle of every test
//
// Rules that every reading relies on:
//
//   - A Go number in a call (eps, a scale, a shape) is a constant of the
//     program: a tracer prints it, a graph captures it. What changes between
//     launches is a Tensor in staging.
//   - Outputs come first and are memory that the caller owns. An operation
//     allocates nothing; scratch is an argument, sized by the device's Profile.
//   - An output overlaps no input, unless it is that very input and the
//     operation says "in place".
//   - Gradients of parameters are always added to. Gradients of activations
//     follow the Write argument.
//   - Statistics (rstd, lse), gradients of parameters and losses are float32
//     (float64 on the float64 reference), whatever the activations are.
package bindings
