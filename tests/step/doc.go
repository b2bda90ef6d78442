// Package step takes whole steps with every method: on the CPU, and with the
// build tag cuda on a CUDA device, which is held to the CPU: training, resuming
// and everything that reads a model. Those tests want GRAFT_CUDA_LIB, which names
// the library of a GPU, or the same kernels on the host (make -C cuda test-step).
package step
