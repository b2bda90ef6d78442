#!/usr/bin/env bash
# Our tokenizer beside the Rust one of the tokenizers package, in turn on this
# machine: three rounds of training a byte-level BPE of 8192 on the Go files of
# net and go, and of encoding them, in megabytes per second of processor time.
# PYTHON may name an interpreter that has tokenizers; else it is installed from
# PyPI into .cache/tokenizers.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${PYTHON:-}" ]; then
  [ -d .cache/tokenizers/tokenizers ] || python3 -m pip install -q --target .cache/tokenizers 'tokenizers==0.23.*'
  export PYTHONPATH="$PWD/.cache/tokenizers"
  PYTHON=python3
fi
mkdir -p bin
go test -c -o bin/tokenizer.test ./go/tokenizer
for round in 1 2 3; do
  ours=$(GOMAXPROCS=1 bin/tokenizer.test -test.run '^$' -test.bench 'Encode$|Train$' -test.benchtime 2x |
    awk '/cpu-MB\/s/ { for (i = 2; i <= NF; i++) if ($i == "cpu-MB/s") v[$1] = $(i-1) } END { print v["BenchmarkTrain"], v["BenchmarkEncode"] }')
  peer=$("$PYTHON" tests/bench/tokenizers_peer.py)
  echo "$ours $peer"
done | awk '
  { train[NR] = $1 / $3; encode[NR] = $2 / $4; printf "train  graft %.2f MB/s  tokenizers %.2f MB/s  %.2fx    encode  graft %.2f MB/s  tokenizers %.2f MB/s  %.2fx\n", $1, $3, $1 / $3, $2, $4, $2 / $4 }
  function median(r) { return r[1] < r[2] ? (r[2] < r[3] ? r[2] : r[1] < r[3] ? r[3] : r[1]) : (r[1] < r[3] ? r[1] : r[2] < r[3] ? r[3] : r[2]) }
  END { printf "median ratio  train %.2f  encode %.2f\n", median(train), median(encode) }'
