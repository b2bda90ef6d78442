#!/usr/bin/env bash
# The tests on a GPU: what pack.sh builds, for this card alone, and then its run.sh:
# the instructions, every operation, both under compute-sanitizer, and the whole step.
# Fails where there is no GPU. Needs nvcc 13.0, g++ and python3, no network; without
# Go the whole step is left out, and run.sh says so.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}/gpu
nvidia-smi -L >/dev/null 2>&1 || { echo "test-gpu: no GPU" >&2; exit 1; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sed -n 1p | tr -d .)
[ "$capability" = 90 ] && capability=90a
command -v "${GO:=go}" >/dev/null || GO=none
GO=$GO ARCHS=$capability CUDA_OBJECTS=$build/objects "$root/cuda/pack.sh" "$build"
"$build/run.sh"
