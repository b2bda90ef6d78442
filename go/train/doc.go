// Package train is the loop: steps, evaluations, checkpoints, the run
// directory, and what is told about them. It knows no method, no family and no
// device by name.
//
// A run stops cleanly when its context is cancelled: it finishes the step,
// writes a checkpoint and returns an error of kind failure.ErrPreempted. The
// same run, started again with Resume, goes on bit for bit.
package train
