"""Computes logits with transformers and PEFT on files that graft wrote.

    python tests/parity/load.py

It reads one request a line and answers each with a line, "" or what went wrong:

    base      a model directory
    nf4       quantise the base with bitsandbytes while it is loaded
    adapter   a PEFT directory on the base; "" is none
    labels    of a classifier on the base; 0 is a language model
    problem   problem_type of the classifier
    rows      token ids
    out       the safetensors file to write: "0", "1", … for the rows

A checkpoint that lacks a tensor or has one too many, and anything that PEFT
warns of while it loads, is an error.
"""

import json
import os
import sys
import traceback
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import bitsandbytes
import peft
import torch
import transformers
from safetensors.torch import save_file


def load(base, nf4, labels, problem):
    settings = dict(attn_implementation="eager", dtype=torch.float32, device_map="cpu", output_loading_info=True)
    if nf4:
        settings["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32)
    if labels:
        return transformers.AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=labels, problem_type=problem, **settings)[0]  # its head is not in the base
    model, info = transformers.AutoModelForCausalLM.from_pretrained(base, **settings)
    for what, names in info.items():
        if names:
            raise ValueError(f"{base}: {what}: {names}")
    # A checkpoint in four bits says bfloat16, which transformers makes the other tensors and what four bits are decoded to.
    for p in model.parameters():
        if p.is_floating_point():
            p.data = p.data.float()
    for m in model.modules():
        if isinstance(m, bitsandbytes.nn.Linear4bit):
            m.compute_dtype = m.weight.quant_state.dtype = torch.float32
    return model


def answer(base, nf4, adapter, labels, problem, rows, out):
    model = load(base, nf4, labels, problem)
    quantized = any(isinstance(m, bitsandbytes.nn.Linear4bit) for m in model.modules())
    if adapter:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # missing or unexpected keys
            warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # PEFT's own files too
            model = peft.PeftModel.from_pretrained(model, adapter)
    model.train(quantized)  # in evaluation bitsandbytes may pack weights for the CPU
    with torch.no_grad():
        logits = [model(torch.tensor([ids])).logits[0] for ids in rows]
    if not labels:
        logits = [z[-len(ids):] for z, ids in zip(logits, rows)]  # a prompt has logits too
    save_file({str(i): z.contiguous() for i, z in enumerate(logits)}, out)


def main():
    torch.set_num_threads(1)
    for line in sys.stdin:
        try:
            answer(**json.loads(line))
            print("", flush=True)
        except Exception:
            print(json.dumps(traceback.format_exc()), flush=True)


if __name__ == "__main__":
    main()
