#!/bin/sh
# Everything that the tests on a GPU need, built here for a machine that has no Go,
# no compiler and no network: into build/gpu-tests, or the folder that is named.
# ARCHS as for compile.py; needs Go, g++ and nvcc 13.0.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/gpu-tests}
mkdir -p "$out"
cd "$root"
for package in step optest parity; do
    ${GO:-go} test -c -tags cuda -trimpath -ldflags '-s -w' -o "$out/$package.test" "./tests/$package"
done
${GO:-go} build -trimpath -ldflags '-s -w' -o "$out/graft" ./cmd/graft
cp cuda/carried.sh "$out/run.sh"
rm -rf "$out/testdata"
cp -R tests/parity/testdata "$out/testdata"
# A library that is named is taken as it is: the emulation, or one that is built.
if [ -n "${LIBRARY:-}" ]; then
    cp "$LIBRARY" "$out/libgraft_cuda.so"
else
    python3 cuda/compile.py library "$out/libgraft_cuda.so"
fi
du -sh "$out"
