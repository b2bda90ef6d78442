package native

// Options are what a backend is opened with.
type Options struct {
	Threads int  // of the CPU; 0 means one for each core that may be used
	Device  int  // number of the GPU
	Debug   bool // of a GPU: wait for each operation, and replay nothing
}
