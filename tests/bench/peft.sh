#!/usr/bin/env bash
# Our step beside that of transformers + PEFT, in turn on this machine: three
# rounds for each type, the median of the ratios. PYTHON may name an
# interpreter that has torch, transformers and peft; else they are installed
# from PyPI into .cache/peft. ROUNDS is how many rounds. With the argument pjrt
# ours is float32 on the plugin that GRAFT_PJRT_PLUGIN names.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${PYTHON:-}" ]; then
  [ -x .cache/peft/bin/python ] || {
    python3 -m venv .cache/peft
    .cache/peft/bin/pip install -q torch transformers==5.* peft==0.21.*
  }
  PYTHON=.cache/peft/bin/python
fi
go test -c -o bin/bench.test ./tests/bench
dtypes="bf16 f32" step=Step
[ "${1:-}" != pjrt ] || dtypes=f32 step=StepPJRT
for dtype in $dtypes; do
  for round in $(seq "${ROUNDS:-3}"); do
    ours=$(bin/bench.test -test.run '^$' -test.bench "$step/smollm2-135m/lora/$dtype" -test.benchtime 3x | tee /dev/stderr |
      awk '/tokens\/s/ { for (i = 2; i <= NF; i++) { if ($i == "tokens/s") t = $(i-1); if ($i == "peak-MiB") m = $(i-1) } print t, m }')
    peer=$("$PYTHON" tests/bench/peer.py --dtype $dtype)
    echo "$dtype $ours $peer"
  done
done | awk '
  { ratio[$1, ++n[$1]] = $2 / $4; printf "%s  graft %.0f tokens/s %.0f MiB   PEFT %.0f tokens/s %.0f MiB   speed %.2fx   memory %.2fx\n", $1, $2, $3, $4, $5, $2 / $4, $3 / $5 }
  END { for (d in n) { c = n[d]; for (i = 1; i <= c; i++) for (j = i + 1; j <= c; j++) if (ratio[d, j] < ratio[d, i]) { t = ratio[d, i]; ratio[d, i] = ratio[d, j]; ratio[d, j] = t } printf "%s  median speed ratio %.2f\n", d, ratio[d, int((c + 1) / 2)] } }'
