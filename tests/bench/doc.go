// Package bench measures whole training steps. The benchmarks print tokens/s,
// the planned bytes and the peak memory of the process; peft.sh runs the same
// shape with transformers and PEFT, in turn with ours, and prints the ratio.
package bench
