"""Loads an adapter that graft wrote with PEFT and compares the logits.

    python tests/parity/load_adapter.py BASE ADAPTER LOGITS

BASE is a directory of testdata, ADAPTER the directory that graft wrote, LOGITS
a safetensors file with what graft computed for each row of BASE/fixture.json
("logits.0", ...). Anything PEFT warns of while loading is an error.
"""

import json
import os
import pathlib
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import peft
import torch
import transformers
from safetensors.torch import load_file

GATE = 1e-5  # relative L2, as in forward_test.go


def main():
    base, adapter, computed = sys.argv[1:]
    rows = json.loads((pathlib.Path(base) / "fixture.json").read_text())["rows"]
    ours = load_file(computed)
    if len(ours) != len(rows):
        sys.exit(f"{computed} has {len(ours)} tensors, {base} has {len(rows)} rows")
    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager", dtype=torch.float32)
    plain = model(torch.tensor([rows[0]["ids"]])).logits[0].detach()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # missing or unexpected keys
        model = peft.PeftModel.from_pretrained(model, adapter).eval()
    worst = 0.0
    for i, row in enumerate(rows):
        with torch.no_grad():
            want = model(torch.tensor([row["ids"]])).logits[0][-len(row["ids"]):]
        got = ours[f"logits.{i}"].reshape(want.shape)
        worst = max(worst, ((got - want).norm() / want.norm()).item())
        if i == 0 and (want - plain).norm() < 100 * GATE * plain.norm():
            sys.exit("the adapter changes nothing")
    print(f"relative L2 distance of the logits {worst:.2e}, gate {GATE}")
    if not worst < GATE:
        sys.exit(1)


if __name__ == "__main__":
    main()
