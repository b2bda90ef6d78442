package bindings

// Profile is what a plan has to know of a device: formulas for scratch, and
// nothing that needs the device to be there. All scratch is counted in bytes
// and allocated as u8.
type Profile struct {
	Name    string // "reference", "cpu", "cuda", "pjrt"
	Threads int    // of a CPU; its results do not depend on it, its scratch does
	// WorkspaceBytes is what the device itself holds for packing and partial
	// sums, whatever it is asked.
	WorkspaceBytes int64
	// LogitsBytes bounds the logits that LinearCrossEntropy holds at once.
	LogitsBytes int64
	// CompilerScratch: a compiler owns scratch (PJRT), so formulas are zero.
	CompilerScratch bool
}

// The profiles of the devices that are built in. Threads 0 stands for one.
func ReferenceProfile() Profile { return Profile{Name: "reference", LogitsBytes: 1 << 20} }

// CPUProfile is that of the CPU with that many threads. The workspace holds,
// one at a time, the packed panels of a matrix product (shared, and a part for
// each thread) or the blocks of attention (each thread 0.75 MiB at most).
func CPUProfile(threads int) Profile {
	threads = max(threads, 1)
	return Profile{Name: "cpu", Threads: threads, WorkspaceBytes: 16<<20 + int64(threads)*(8<<20), LogitsBytes: 64 << 20}
}

// CUDAProfile is that of a GPU. Half of the workspace holds partial sums, half two
// pieces of weights that are decoded for their products.
func CUDAProfile() Profile {
	return Profile{Name: "cuda", WorkspaceBytes: 128 << 20, LogitsBytes: 256 << 20}
}

// PJRTProfile is that of any PJRT plugin. The compiler holds a few tensors of
// the size of the logits at once.
func PJRTProfile() Profile {
	return Profile{Name: "pjrt", CompilerScratch: true, LogitsBytes: 32 << 20}
}

// LogitsRows is the number of rows whose logits LinearCrossEntropy computes at
// once: as many as LogitsBytes holds in float32, between 16 and 512.
func (p Profile) LogitsRows(rows, vocab int) int {
	return min(rows, max(16, min(512, int(p.LogitsBytes/(4*int64(vocab))))))
}

// LinearScratch is the scratch of Linear and LinearBackward: tokens rows, all
// adapters together rank columns; dropout asks for a copy of the input, and of
// its gradient. The CPU keeps what goes back through the adapters, and one dB,
// in at most float32; elsewhere 8 bytes an element serve every type, float64 included.
func (p Profile) LinearScratch(tokens int, w Weight, rank int, dropout bool) int {
	if rank == 0 && p.Name != "reference" {
		return 0
	}
	if p.Name == "cpu" {
		n := 4*rank*(tokens+w.Out) + Align*(rank+4)
		if dropout {
			n += 8 * tokens * w.In
		}
		return p.scratch(n)
	}
	n := 8 * (tokens*rank + rank*(w.In+w.Out))
	if dropout {
		n += 8 * tokens * w.In
	}
	if p.Name == "reference" {
		n += 8 * w.In // one decoded row
	}
	return p.scratch(n)
}

// AttentionScratch is the scratch of Attention and AttentionBackward for
// tokens rows: backward, a float32 row of dq, padded to 16 elements, and one
// delta for each token and head. Blocks of scores are in the workspace.
func (p Profile) AttentionScratch(tokens, prefix, heads, kvHeads, dim int, backward bool) int {
	if p.Name == "reference" {
		return p.scratch(8 * 2 * (tokens + prefix))
	}
	if !backward {
		return 0
	}
	return p.scratch(4*tokens*heads*((dim+15)/16*16+1) + Align)
}

// CrossEntropyScratch is a chunk of logits in float32, of x and of dx.
func (p Profile) CrossEntropyScratch(rows int, w Weight) int {
	size := 4
	if p.Name == "reference" {
		size = 8
	}
	chunk := p.LogitsRows(rows, w.Out)
	if p.Name == "cpu" { // rows of logits 64 bytes apart, one copy of x, a loss and a hit for each row
		return p.scratch(4*chunk*(w.Out+16+w.In+2) + 5*Align)
	}
	return p.scratch(size * (chunk*(w.Out+2*w.In) + w.In))
}

// SampleScratch is what sorting the candidates of rows of logits takes.
func (p Profile) SampleScratch(rows, vocab int) int { return p.scratch(8*rows*vocab + Align) }

func (p Profile) scratch(n int) int {
	if p.CompilerScratch {
		return 0
	}
	return (n + Align - 1) / Align * Align
}
