#!/usr/bin/env bash
# Everything that the tests and benchmarks on a GPU need, built here for a machine
# that has a driver and nothing else: into build/gpu-tests, or the folder that is
# named. ARCHS as for compile.py. Needs nvcc 13.0, g++, and Go for the whole step:
# GO=none leaves that out. EMULATION names a folder of cuda/Makefile: then the
# programs are those of the host emulation.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/gpu-tests}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$root"
rm -rf "$out/graft" "$out"/*.test "$out/testdata"
if [ "${GO:=go}" != none ]; then
    for package in step optest parity; do
        "$GO" test -c -tags cuda -ldflags '-s -w' -o "$out/$package.test" "./tests/$package"
    done
    "$GO" build -ldflags '-s -w' -o "$out/graft" ./cmd/graft
    cp -R tests/parity/testdata "$out/testdata"
fi
cp cuda/carried.sh "$out/run.sh"
cp cuda/libraries.sh cuda/bench/step.py tests/bench/peer.py "$out"
cp go/model/shapes.go "$out/shapes.txt" # no package in a folder of the module
git rev-parse --short HEAD >"$out/commit" 2>/dev/null || echo unknown >"$out/commit"
if [ -n "${EMULATION:-}" ]; then
    cp "$EMULATION/libgraft_cuda_host.so" "$out/libgraft_cuda.so"
    cp "$EMULATION/device_check" "$EMULATION/bench" "$out"
    cp "$EMULATION/test_ops_plain" "$out/test_ops"
    cp "$EMULATION/test_ops_plain" "$out/test_ops_once"
else
    python3 cuda/compile.py programs "$out"
fi
du -sh "$out"
