#!/bin/sh
# The tests on a GPU: every operation, 100 times bit-equal, then once under each
# tool of compute-sanitizer. Fails where there is no GPU. Needs nvcc and g++.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}
nvidia-smi -L >/dev/null 2>&1 || { echo "test-gpu: no GPU" >&2; exit 1; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ "$capability" = 90 ] && capability=90a
mkdir -p "$build/gpu"
ARCHS=$capability CUDA_OBJECTS=$build/gpu/objects python3 "$root/cuda/compile.py" library "$build/gpu/libgraft_cuda.so"

tests() {  # repeats, output
    g++ -std=c++17 -O1 -DGRAFT_REPEATS="$1" "$root"/cuda/tests/*.cc -o "$2" -L"$build/gpu" -lgraft_cuda -Wl,-rpath,"$build/gpu"
}
tests 100 "$build/gpu/test_ops"
tests 1 "$build/gpu/test_ops_once"
"$build/gpu/test_ops"
for kernel in own wgmma cublaslt; do
    echo "== products by $kernel"
    GRAFT_CUDA_GEMM=$kernel "$build/gpu/test_ops_once" linear
done

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
if [ -z "$sanitizer" ]; then
    echo "compute-sanitizer: NOT RUN (not installed)"
    exit 0
fi
for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    "$sanitizer" --tool "$tool" --error-exitcode 1 "$build/gpu/test_ops_once"
done
