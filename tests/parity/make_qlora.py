"""Makes the QLoRA fixture of tests/parity with transformers, PEFT and
bitsandbytes on the CPU.

    PYTHONHASHSEED=0 python tests/parity/make_qlora.py [testdata directory]

A tiny random Llama in bfloat16, whose linear layers have whole blocks of 64
inputs, and beside it

    nf4/, nf4-plain/     the same as save_pretrained writes it quantised, with
                         and without double quantisation
    initial, final.f32, final.bf16   adapters before and after twenty steps
    fixture.json         token ids, labels; losses and norms of training on the
                         doubly quantised base in float32 and in bfloat16; hashes
                         of the decoded weights
    fixture.safetensors  gradients of the first step, logits
"""

import hashlib
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import bitsandbytes
import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import BitsAndBytesConfig, LlamaConfig

from make_fixtures import SIZES, make_rows, plain, randomize, save_adapter, train

CONFIG = LlamaConfig(**{**SIZES, "hidden_size": 64, "intermediate_size": 128}, rms_norm_eps=1e-5,
                     rope_parameters=dict(rope_type="default", rope_theta=10000.0))
LORA = dict(r=4, lora_alpha=8, target_modules="all-linear", lora_dropout=0.0)
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def quantized(directory, dtype, double=True):
    """In training mode: in evaluation bitsandbytes may pack weights for the CPU."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        directory, attn_implementation="eager", dtype=dtype, device_map="cpu",
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
            bnb_4bit_compute_dtype=dtype)).train()


def adamw8(path):
    """Ten steps of 8-bit AdamW as bitsandbytes' pure PyTorch path takes them,
    with its maps: moments decoded, updated, coded as the nearest of the map."""
    n, block, steps = 1000, 256, 10
    beta1, beta2, eps, lr, decay = 0.9, 0.999, 1e-8, 1e-2, 0.1
    generator = torch.Generator().manual_seed(7)
    p = torch.randn(n, generator=generator)
    gradients = torch.randn(steps, n, generator=generator) * torch.rand(n, generator=generator) ** 4
    maps = [bitsandbytes.functional.create_dynamic_map(signed=s) for s in (True, False)]
    state = [(torch.zeros(n, dtype=torch.uint8), torch.zeros((n + block - 1) // block)) for _ in maps]
    out = {"p.initial": p.clone(), "gradients": gradients}
    for t in range(1, steps + 1):
        g = gradients[t - 1]
        m, v = (code[q.long()] * scale.repeat_interleave(block)[:n] for code, (q, scale) in zip(maps, state))
        m = m * beta1 + g * (1 - beta1)
        v = v * beta2 + g * g * (1 - beta2)
        p = p * (1 - lr * decay)
        p.addcdiv_(m, (v.sqrt() / (1 - beta2**t) ** 0.5).add_(eps), value=-lr / (1 - beta1**t))
        for i, x in enumerate((m, v)):
            scale = torch.stack([b.abs().max() for b in x.split(block)])
            normed = x / scale.repeat_interleave(block)[:n]
            state[i] = ((normed[:, None] - maps[i][None]).abs().argmin(1).to(torch.uint8), scale)
    out |= {"p": p, "m": state[0][0], "m.scale": state[0][1], "v": state[1][0], "v.scale": state[1][1]}
    save_file(out, path)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata") / "qlora"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(200)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    CONFIG._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(CONFIG, dtype=torch.float32)
    randomize(model, generator)
    model.to(torch.bfloat16).save_pretrained(root)
    (root / "generation_config.json").unlink(missing_ok=True)
    for name, double in [("nf4", True), ("nf4-plain", False)]:
        quantized(root, torch.bfloat16, double).save_pretrained(root / name)
        (root / name / "generation_config.json").unlink(missing_ok=True)

    rows = make_rows(generator)
    record = dict(
        versions=dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__, peft=peft.__version__,
                      bitsandbytes=bitsandbytes.__version__),
        rows=[dict(ids=ids.tolist(), labels=labels.tolist()) for ids, labels in rows], methods={}, decoded={})
    tensors = {}
    for name, dtype in TYPES.items():
        model = quantized(root, dtype)
        if name == "f32":
            for n, m in model.named_modules():
                if isinstance(m, bitsandbytes.nn.Linear4bit):
                    w = bitsandbytes.functional.dequantize_4bit(m.weight.data, m.weight.quant_state)
                    assert w.dtype == torch.float32
                    record["decoded"][f"{n}.weight"] = hashlib.sha256(w.numpy().tobytes()).hexdigest()
            model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **LORA))
            for n, p in model.named_parameters():
                if "lora_" in n:
                    p.data = torch.randn(p.shape, generator=generator) * (0.2 if "lora_B" in n else 1) / p.shape[1] ** 0.5
            save_adapter(model, root / "initial", "qlora")
        else:
            model = peft.PeftModel.from_pretrained(model, root / "initial", is_trainable=True)
        with torch.no_grad():
            tensors[f"{name}.logits"] = model(rows[2][0][None]).logits[0].float()
        record["methods"][name], gradients = train(model, rows, "constant")
        tensors |= {f"{name}.gradient.{plain(n)}": g for n, g in gradients.items()}
        save_adapter(model, root / f"final.{name}", "qlora")

    adamw8(root / "adamw8.safetensors")
    save_file({n: t.contiguous().float() for n, t in tensors.items()}, root / "fixture.safetensors")
    (root / "fixture.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    print(record["versions"])


if __name__ == "__main__":
    main()
