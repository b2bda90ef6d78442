package gpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// place is a folder of stand-ins that are found before other programs.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	for _, tool := range []string{"bash", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the scripts need %s, which is not here", tool)
		}
	}
	p := &place{t: t, dir: t.TempDir()}
	p.script("tools/nvidia-smi", `case "$*" in *name*) echo "Stub GPU" ;; *compute_cap*) echo 9.0 ;; *) echo 1 ;; esac`)
	p.set("PATH", filepath.Join(p.dir, "tools")+":"+os.Getenv("PATH"))
	p.set("BUILD", p.dir)
	return p
}

func (p *place) set(name, value string) { p.env = append(p.env, name+"="+value) }

// write makes a file, script one that can be run.
func (p *place) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	require.NoError(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(p.t, os.WriteFile(path, []byte(text), 0o755))
}
func (p *place) script(name, body string) { p.write(name, "#!/usr/bin/env bash\n"+body+"\n") }

// run gives what a command prints, on either stream, and its exit code.
func (p *place) run(name string, args ...string) (string, int) {
	p.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), p.env...)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		require.NoError(p.t, err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// programs are those of a pack, each of which says that it ran.
func (p *place) programs(folder string, names ...string) {
	for _, name := range names {
		p.script(filepath.Join(folder, name), `echo "$(basename "$0") $*" >>"$(dirname "$0")/ran"`)
	}
}

var ofOperations = []string{"device_check", "test_ops", "test_ops_once", "bench"}

// carried is a pack of stand-ins.
func carried(t *testing.T, names ...string) *place {
	p := newPlace(t)
	p.programs("pack", append(names, ofOperations...)...)
	for file, as := range map[string]string{"carried.sh": "run.sh", "libraries.sh": "libraries.sh"} {
		text, err := os.ReadFile("../../cuda/" + file)
		require.NoError(t, err)
		p.write("pack/"+as, string(text))
	}
	p.script("tools/compute-sanitizer", `shift 4; "$@"`)
	return p
}

func (p *place) ran(folder string) string {
	text, err := os.ReadFile(filepath.Join(p.dir, folder, "ran"))
	require.NoError(p.t, err)
	return string(text)
}

// TestCarriedParts: what a pack has is run, the instructions first; what it has
// not, and what was left out, is said.
func TestCarriedParts(t *testing.T) {
	p := carried(t)
	run := filepath.Join(p.dir, "pack/run.sh")
	out, code := p.run(run)
	require.Zero(t, code, out)
	assert.Contains(t, out, "not run: the whole step")
	for _, part := range []string{"check", "operations", "products-wgmma", "attention-cudnn", "memcheck", "racecheck", "initcheck", "synccheck"} {
		assert.Contains(t, out, "ok    "+part+",")
	}
	lines := strings.Split(p.ran("pack"), "\n")
	assert.Equal(t, "device_check ", lines[0])
	assert.Equal(t, "test_ops ", lines[1])
	assert.NotContains(t, lines, "bench ")

	p.programs("pack", "step.test", "optest.test", "parity.test")
	p.script("pack/graft", `echo '"arch": "sm_90"'`)
	out, code = p.run(run)
	require.Zero(t, code, out)
	for _, part := range []string{"check", "racecheck", "table", "parity", "devices", "memory", "step-racecheck", "bench-full"} {
		assert.Contains(t, out, "ok    "+part+",")
	}
	p.set("PARTS", "attention-cudnn step-racecheck bench-qlora")
	out, code = p.run(run)
	require.Zero(t, code, out)
	assert.Equal(t, 3, strings.Count(out, "ok  "), "a tool or a kernel is a part by itself: %s", out)
	p.set("PARTS", "products-none")
	out, code = p.run(run)
	assert.Equal(t, 2, code)
	assert.Contains(t, out, "products-none is none of")
	p.set("PARTS", "products-cublaslt products-wgmma")
	p.script("pack/test_ops_once", `[ "${GRAFT_CUDA_GEMM:-}" != cublaslt ] || { echo "context: GRAFT_CUDA_GEMM=cublaslt: libcublasLt is not found"; exit 1; }`)
	out, code = p.run(run)
	assert.Zero(t, code, out)
	assert.Contains(t, out, "not run: products-cublaslt: GRAFT_CUDA_GEMM=cublaslt: libcublasLt is not found")
	assert.Contains(t, out, "ok    products-wgmma,")
	p.script("pack/graft", "echo no device")
	out, code = p.run(run)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "no GPU")
}

// TestCarriedFailures: a part that fails, or does not end, fails the whole and
// stops no other, but for the instructions.
func TestCarriedFailures(t *testing.T) {
	p := carried(t)
	run := filepath.Join(p.dir, "pack/run.sh")
	p.script("pack/test_ops", "echo 3 of them are wrong; exit 1")
	p.script("pack/test_ops_once", `[ "$1" != slow ] || sleep 30`)
	p.set("LIMIT", "1")
	p.set("OPERATIONS", "slow")
	p.set("PARTS", "check operations racecheck")
	out, code := p.run(run)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "3 of them are wrong")
	assert.Contains(t, out, "racecheck did not end within LIMIT=1 s")
	assert.Contains(t, out, "failed: operations racecheck")

	p.set("PARTS", "memcheck")
	p.set("SANITIZER", "none")
	out, code = p.run(run)
	assert.Zero(t, code, out)
	assert.Contains(t, out, "not run: memcheck, under compute-sanitizer")

	p.script("pack/device_check", "exit 1")
	p.set("PARTS", "check operations")
	out, code = p.run(run)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "nothing else has to be looked at")
	assert.NotContains(t, out, "operations,")
}

// TestGPURunsBoth: make test-gpu packs the operations and, where there is Go,
// the whole step, for the card that is there, and runs both.
func TestGPURunsBoth(t *testing.T) {
	p := newPlace(t)
	p.script("tools/compute-sanitizer", `shift 4; "$@"`)
	p.script("stand-in", `echo "$(basename "$0")" "$@" >>`+p.dir+`/ran; echo '"arch": "sm_90"'`)
	p.script("tools/python3", `[ "$1" = -c ] && exit 1; echo "python3 $* for $ARCHS" >>`+p.dir+`/ran
for name in device_check test_ops test_ops_once bench libgraft_cuda.so; do cp `+p.dir+`/stand-in "$3/$name"; done`)
	p.script("tools/go", `while [ "$1" != -o ]; do shift; done; cp `+p.dir+`/stand-in "$2"`)
	out, code := p.run("../../cuda/test_gpu.sh")
	require.Zero(t, code, out)
	assert.Contains(t, p.ran("."), "cuda/compile.py programs "+filepath.Join(p.dir, "gpu")+" for 90a")
	for _, part := range []string{"operations", "racecheck", "devices", "step-memcheck"} {
		assert.Contains(t, out, "ok    "+part+",")
	}
	require.NoError(t, os.RemoveAll(filepath.Join(p.dir, "gpu")))
	p.set("GO", "no-such-go")
	out, code = p.run("../../cuda/test_gpu.sh")
	require.Zero(t, code, out)
	assert.Contains(t, out, "ok    operations,")
	assert.Contains(t, out, "not run: the whole step")
	p.script("tools/nvidia-smi", "exit 9")
	out, code = p.run("../../cuda/test_gpu.sh")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "no GPU")
}
