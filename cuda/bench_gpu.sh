#!/bin/sh
# Benchmarks on a GPU, after the tests passed there. Writes one JSON file into
# cuda/bench/results, with ratios to PyTorch where it is installed. Arguments go to
# bench: part of a name, or "choose".
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}/gpu
# cuDNN comes with PyTorch, where no loader looks for it.
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$(python3 -c 'import nvidia.cudnn as c; print(list(c.__path__)[0] + "/lib")' 2>/dev/null || true)
export LD_LIBRARY_PATH
[ -x "$build/test_ops_once" ] || { echo "bench-gpu: run test-gpu first" >&2; exit 1; }
"$build/test_ops_once"
nvcc=$("$root/cuda/toolchain.sh")
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ "$capability" = 90 ] && capability=90a
# Linked with the objects themselves: it times kernels that the library does not export.
"$nvcc" -std=c++17 -O2 -gencode "arch=compute_$capability,code=sm_$capability" "$root"/cuda/bench/*.cu \
    "$build"/objects/*.o -cudart static -o "$build/bench"
[ "${1:-}" = choose ] && exec "$build/bench" choose

about() { nvidia-smi --query-gpu="$1" --format=csv,noheader | head -n 1; }
gpu=$(about name)
file=$root/cuda/bench/results/$(date +%Y-%m-%d)-$(echo "$gpu" | tr ' ' '-').json
"$build/bench" "$@" >"$build/bench.csv"
python3 "$root/cuda/bench/record.py" "$gpu" "$(about driver_version)" "$(about clocks.sm,clocks.mem)" \
    "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)" <"$build/bench.csv" >"$file"
cat "$file"
