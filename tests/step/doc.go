// Package step holds the whole step on a CUDA device to that on the CPU: every
// method, training, resuming and everything that reads a model. Its tests have
// the build tag cuda and want GRAFT_CUDA_LIB, which names the library of a GPU,
// or the same kernels on the host (make -C cuda test-step).
package step
