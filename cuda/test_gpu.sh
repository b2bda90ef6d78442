#!/bin/sh
# The tests on a GPU: first the instructions that everything is built on, then every
# operation, 100 times bit-equal, then once under each tool of compute-sanitizer.
# Fails where there is no GPU. Needs nvcc 13.0, g++ and python3; no Go, no network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/cuda}/gpu
# cuDNN comes with PyTorch, where no loader looks for it.
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$(python3 -c 'import nvidia.cudnn as c; print(list(c.__path__)[0] + "/lib")' 2>/dev/null || true)
export LD_LIBRARY_PATH
nvidia-smi -L >/dev/null 2>&1 || { echo "test-gpu: no GPU" >&2; exit 1; }
nvcc=$("$root/cuda/toolchain.sh")
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ "$capability" = 90 ] && capability=90a
mkdir -p "$build"

"$nvcc" -std=c++17 -O2 -gencode "arch=compute_$capability,code=sm_$capability" "$root/cuda/tests/device_check.cu" -cudart static -o "$build/device_check"
"$build/device_check"

ARCHS=$capability CUDA_OBJECTS=$build/objects python3 "$root/cuda/compile.py" library "$build/libgraft_cuda.so"
tests() {  # repeats, output
    g++ -std=c++17 -O1 -DGRAFT_REPEATS="$1" "$root"/cuda/tests/test_*.cc -o "$2" -L"$build" -lgraft_cuda -Wl,-rpath,"$build"
}
tests 100 "$build/test_ops"
tests 1 "$build/test_ops_once"
"$build/test_ops"
for kernel in own wgmma cublaslt; do
    echo "== products by $kernel"
    GRAFT_CUDA_GEMM=$kernel "$build/test_ops_once" linear
done
for kernel in wgmma cudnn; do
    echo "== attention by $kernel, where it takes it"
    GRAFT_CUDA_ATTENTION=$kernel "$build/test_ops_once" attention
done

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
if [ -z "$sanitizer" ]; then
    echo "test-gpu: compute-sanitizer is not there: its four checks did not run" >&2
    exit 1
fi
for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    "$sanitizer" --tool "$tool" --error-exitcode 1 "$build/test_ops_once"
done
