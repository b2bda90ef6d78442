package gpu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const rates = `echo "# copy 4000 GB/s, 8192^3 bf16 product 800 TFLOP/s"
echo name,median_us,p20_us,p80_us,rate,unit,share_of_limit
[ -n "$1" ] || echo adamw/1000,10,9,11,100,GB/s,0.9
echo attention/1024,20,19,21,300,TFLOP/s,0.8`

// decode reads a file of results.
func decode(t *testing.T, path string) (r map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}

// TestPartOfBenchmarks: a run of some operations replaces no run of all.
func TestPartOfBenchmarks(t *testing.T) {
	p := newPlace(t)
	p.programs("gpu", "test_ops_once")
	p.script("gpu/bench", rates)
	p.set("RESULTS", filepath.Join(p.dir, "results"))
	rows := map[string]int{}
	for _, args := range [][]string{{}, {"attention"}, {"lora_linear/8 x"}} {
		out, code := p.run("../../cuda/bench_gpu.sh", args...)
		require.Zero(t, code, out)
	}
	files, err := filepath.Glob(filepath.Join(p.dir, "results", "*"))
	require.NoError(t, err)
	for _, f := range files {
		rows[filepath.Base(f)[len("2006-01-02-"):]] = len(decode(t, f)["rows"].([]any))
	}
	assert.Equal(t, map[string]int{"Stub-GPU.json": 2, "Stub-GPU-attention.json": 1, "Stub-GPU-lora_linear-8-x.json": 1}, rows)
}

// TestRecordWithoutTorch: a PyTorch that cannot use the GPU costs the ratios to
// it, and no result.
func TestRecordWithoutTorch(t *testing.T) {
	p := newPlace(t)
	p.write("modules/torch/__init__.py", "__version__ = '1'\nuint8 = bfloat16 = None\ndef compile(f):\n    return f\ndef empty(*a, **k):\n    raise RuntimeError('Found no NVIDIA driver')\n")
	p.write("modules/torch/nn/__init__.py", "")
	p.write("modules/torch/nn/functional.py", "")
	p.set("PYTHONPATH", filepath.Join(p.dir, "modules"))
	p.programs("gpu", "test_ops_once")
	p.script("gpu/bench", rates)
	p.set("RESULTS", filepath.Join(p.dir, "results"))
	out, code := p.run("../../cuda/bench_gpu.sh")
	require.Zero(t, code, out)
	files, err := filepath.Glob(filepath.Join(p.dir, "results", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	r := decode(t, files[0])
	assert.Len(t, r["rows"], 2)
	assert.Nil(t, r["torch"])
	assert.Equal(t, "RuntimeError: Found no NVIDIA driver", r["no_torch"])
	assert.Equal(t, "Stub GPU", r["gpu"])
}

// TestStepTable: ratios of whole steps to what others take, and a sentence where
// they are not installed.
func TestStepTable(t *testing.T) {
	p := newPlace(t)
	p.script("graft", `case "$*" in *qlora*) speed=950 ;; *) speed=1000 ;; esac
echo '{"device": "Stub GPU", "tokens_per_second": '$speed', "trainable": 7, "flops_model": 512e12, "used_bytes": {"frozen": 600, "trainable": 100}}'`)
	p.script("python", `case "$*" in *--liger*) echo "peer.py: no module named liger_kernel" >&2; exit 3 ;; *full*) kind=8 ;; *) kind=7 ;; esac
echo '{"tokens_per_second": 500, "peak_bytes": 1400, "trainable": '$kind', "torch": "2"}'`)
	p.script("gpu/bench", rates)
	for name, value := range map[string]string{"GRAFT": "graft", "PYTHON": "python"} {
		p.set(name, filepath.Join(p.dir, value))
	}
	// The program looks for what measures the limits beside itself, as in a pack.
	script, err := os.ReadFile("../../cuda/bench/step.py")
	require.NoError(t, err)
	p.write("gpu/step.py", string(script))
	p.set("SEQ", "1000")
	file := filepath.Join(p.dir, "step.json")
	out, code := p.run("python3", filepath.Join(p.dir, "gpu/step.py"), "--out", file)
	require.Zero(t, code, out)
	assert.Contains(t, out, "2.00 at 0.50")
	assert.Contains(t, out, "qlora over lora: 0.95")
	assert.Contains(t, out, "lora/llama-3.1-8b/1x1000: no figure of liger: peer.py: no module named liger_kernel")
	assert.Contains(t, out, "full/llama-3.2-1b/1x1000: 7 values are trained here, 8 by peft")
	r := decode(t, file)
	row := r["rows"].([]any)[0].(map[string]any)
	assert.Equal(t, 2.0, row["tokens_over_peft"])
	assert.Equal(t, 0.5, row["memory_over_peft"])
	assert.InDelta(t, 0.64, row["share_of_bound"], 1e-6, "512e12 FLOPs at 800e12 FLOP/s, in a second")
	assert.NotContains(t, row, "tokens_over_liger")
	assert.Equal(t, 0.95, r["qlora_over_lora"])
	assert.Equal(t, "2", r["torch"])

	p.script("graft", "echo 'graft: the plan needs 9 bytes' >&2; exit 82")
	out, code = p.run("python3", filepath.Join(p.dir, "gpu/step.py"))
	assert.Equal(t, 1, code, "there is nothing of ours")
	assert.Contains(t, out, "no figure of graft: graft: the plan needs 9 bytes")
}
