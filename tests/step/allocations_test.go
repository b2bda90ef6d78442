package step

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/train"
)

// counter is a library that is loaded before libc's own allocation, and counts
// into a file that the test reads what could hold a tensor: maps, as those of the
// arenas are, and pieces of the heap of at least 1 KiB. Operations keep short
// lists on the heap, such as one entry for each thread or target, which is less
// in the models of these tests, while most of their tensors are more.
const counter = `
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void* __libc_malloc(size_t); void* __libc_calloc(size_t, size_t); void* __libc_realloc(void*, size_t); void* __libc_memalign(size_t, size_t);
static _Atomic unsigned long* calls;
__attribute__((constructor)) static void begin(void) {
    int f = open(getenv("GRAFT_TEST_CALLS"), O_RDWR);
    calls = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    close(f);
}
static void count(size_t n) { if (calls && n >= 1024) atomic_fetch_add(calls, 1); }
void* malloc(size_t n) { count(n); return __libc_malloc(n); }
void* calloc(size_t n, size_t m) { count(n * m); return __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { count(n); return __libc_realloc(p, n); }
void* aligned_alloc(size_t a, size_t n) { count(n); return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) { count(n); *p = __libc_memalign(a, n); return *p ? 0 : 12; }
void* mmap(void* p, size_t n, int prot, int flags, int f, off_t at) {
    if (!p && prot == (PROT_READ | PROT_WRITE) && flags == (MAP_PRIVATE | MAP_ANONYMOUS)) count(n);
    return (void*)syscall(SYS_mmap, p, n, prot, flags, f, at);
}
`

// callsFile is set in the process that counts.
const callsFile = "GRAFT_TEST_CALLS"

// TestNothingIsAllocatedAfterTheFirstStep of the CPU device: its native code takes
// no memory for tensors while it trains. The test runs itself with the counter
// loaded. Go's runtime allocates too, in some step, so what counts is that most
// have no call at all.
func TestNothingIsAllocatedAfterTheFirstStep(t *testing.T) {
	if os.Getenv(callsFile) != "" {
		countAllocations(t)
		return
	}
	if !native.Compiled {
		t.Skip("this build has no native code")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler for the counter")
	}
	dir := t.TempDir()
	source, library, calls := filepath.Join(dir, "counter.c"), filepath.Join(dir, "counter.so"), filepath.Join(dir, "calls")
	require.NoError(t, os.WriteFile(source, []byte(counter), 0o644))
	require.NoError(t, os.WriteFile(calls, make([]byte, 8), 0o644))
	out, err := exec.Command(cc, "-O1", "-fPIC", "-shared", "-o", library, source).CombinedOutput()
	require.NoError(t, err, string(out))
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "LD_PRELOAD="+library, callsFile+"="+calls)
	out, err = c.CombinedOutput()
	require.NoError(t, err, string(out))
}

func countAllocations(t *testing.T) {
	calls := func() uint64 {
		raw, err := os.ReadFile(os.Getenv(callsFile))
		require.NoError(t, err)
		return binary.LittleEndian.Uint64(raw)
	}
	dir := workplace(t)
	for _, name := range []string{"full", "lora", "qlora in bf16", "prefix", "head over an encoder with lora"} {
		run, err := settings[name].prepare(t.Context(), t, dir, "out-"+name, cpu, "eval.every=0", "train.max_steps=16")
		require.NoError(t, err)
		before, began, silent := calls(), calls(), 0
		_, err = run.Train(t.Context(), false, func(e train.Event) {
			if now := calls(); e.Step == 1 {
				assert.Greater(t, now, began, "%s: the arenas are counted", name)
				before = now
			} else if e.Step > 1 {
				if now == before {
					silent++
				}
				before = now
			}
		})
		require.NoError(t, err)
		require.NoError(t, run.Close())
		assert.Greater(t, silent, 10, "%s: steps of 15 without a call", name)
	}
}
