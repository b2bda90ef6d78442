"""Loads a head that graft wrote in PEFT and compares its logits.

    python load_head.py case-directory adapter-directory computed.safetensors
"""

import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers
from safetensors.torch import load_file

case, adapter, computed = map(pathlib.Path, sys.argv[1:])
record = json.loads((case / "fixture.json").read_text())
model = transformers.AutoModelForSequenceClassification.from_pretrained(
    case.parent / record["base"], num_labels=record["classes"], problem_type=record["problem_type"],
    attn_implementation="eager", dtype=torch.float32)
model = peft.PeftModel.from_pretrained(model, adapter).eval()
with torch.no_grad():
    want = torch.cat([model(torch.tensor([r])).logits for r in record["rows"]])
got = load_file(computed)["logits"].reshape(want.shape)
distance = ((got - want).norm() / want.norm()).item()
print(f"{case.name}: {distance:.2e}")
sys.exit(distance > 1e-5)
