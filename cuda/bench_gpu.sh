#!/usr/bin/env bash
# Benchmarks on a GPU, after test_gpu.sh. Writes JSON into cuda/bench/results, or
# RESULTS: DATE-GPU.json of every operation and DATE-GPU-step.json of whole steps,
# with ratios to PyTorch where it is installed.
#
#   bench_gpu.sh               all of it
#   bench_gpu.sh attention     operations with that part of a name: DATE-GPU-attention.json
#   bench_gpu.sh step          whole steps alone; MODEL, FULL_MODEL, BATCH, SEQ as in bench/step.py
#   bench_gpu.sh choose        prints the fastest kernel of each product
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}/gpu
results=${RESULTS:-$root/cuda/bench/results}
what=${1:-}
. "$root/cuda/libraries.sh"
[ -x "$build/test_ops_once" ] || { echo "bench-gpu: $build/test_ops_once is not there: run test-gpu first" >&2; exit 1; }
[ "$what" = choose ] && exec "$build/bench" choose

about() { nvidia-smi --query-gpu="$1" --format=csv,noheader | sed -n 1p; }
# A part of the operations has a file of its own: it replaces no run of all of them.
name=$(date +%Y-%m-%d)-$(about name | tr ' ' '-')
record() {
    python3 "$root/cuda/bench/record.py" "$(about name)" "$(about driver_version)" "$(about clocks.sm,clocks.mem)" \
        "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
}
mkdir -p "$results"
if [ "$what" != step ]; then
    "$build/test_ops_once"
    "$build/bench" ${what:+"$what"} >"$build/bench.csv"
    file=$results/$name${what:+-$(echo "$what" | tr -c '[:alnum:]_.\n' -)}.json
    record <"$build/bench.csv" >"$build/bench.json"
    mv "$build/bench.json" "$file"
    cat "$file"
fi
if [ -z "$what" ] || [ "$what" = step ]; then
    if [ -x "$build/graft" ]; then
        python3 "$build/step.py" --device cuda:0 --out "$results/$name-step.json"
    else
        echo "not run: whole steps: there was no Go where $build was packed"
    fi
fi
