#!/bin/sh
# Benchmarks on a GPU, after the tests passed there once. Writes one CSV into
# cuda/bench/results, with ratios to PyTorch where it is installed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}/gpu
[ -x "$build/test_ops_once" ] || { echo "bench-gpu: run test-gpu first" >&2; exit 1; }
"$build/test_ops_once"
nvcc=$("$root/cuda/toolchain.sh")
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ "$capability" = 90 ] && capability=90a
# Linked with the objects themselves: it times kernels that the library does not export.
"$nvcc" -std=c++17 -O2 -gencode "arch=compute_$capability,code=sm_$capability" "$root/cuda/bench/bench.cu" \
    "$build"/objects/*.o -cudart static -o "$build/bench"
name=$(date +%Y-%m-%d)-$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr ' ' '-')
csv=$root/cuda/bench/results/$name.csv
{
    echo "# $(nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader | head -n 1)"
    echo "# commit $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
    "$build/bench" "$@"
} >"$csv"
if python3 -c 'import torch' 2>/dev/null; then
    python3 "$root/cuda/bench/torch_bench.py" "$csv" >"$csv.tmp" && mv "$csv.tmp" "$csv"
fi
cat "$csv"
