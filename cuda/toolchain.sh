#!/bin/sh
# Prints the path of an nvcc 13.0: $NVCC, the system's, or the one that
# "toolchain.sh install" puts into .cache/cuda-toolchain (1.1 GB, not tracked).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
home=$root/.cache/cuda-toolchain
packages='cuda-toolkit[nvcc,crt,cccl,cudart,cublas,nvvm,nvtx]==13.0.*'

find_nvcc() {
    if [ -n "${NVCC:-}" ]; then echo "$NVCC"; return; fi
    for nvcc in "$home"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
        if [ -x "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.0'; then echo "$nvcc"; return; fi
    done
    return 1
}

if [ "${1:-}" = install ] && ! find_nvcc >/dev/null; then
    python3 -m pip install --quiet --disable-pip-version-check --target "$home/lib/python3/site-packages" "$packages"
fi
find_nvcc || { echo "no nvcc 13.0: set NVCC, or run 'make cuda-toolchain'" >&2; exit 1; }
