"""Training steps of transformers + PEFT on random weights and tokens, as bench step does them.

LoRA r=16 on all linear layers, AdamW, clip 1.0. Prints tokens/s (median of the steps
after a warm-up step) and peak memory in MiB: of the process on the CPU, what PyTorch
allocated on a GPU. With --json also what it was measured with. What is not installed
is said on stderr, with exit code 3.
"""
import argparse
import json
import pathlib
import re
import resource
import statistics
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16")
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--device", default="cpu", help="cpu or cuda")
parser.add_argument("--model", default="smollm2-135m", help="a shape of go/model/shapes.go")
parser.add_argument("--method", choices=["lora", "qlora", "full"], default="lora")
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--seq", type=int, default=256)
parser.add_argument("--liger", action="store_true", help="with Liger kernels")
parser.add_argument("--json", action="store_true")
a = parser.parse_args()

try:
    import peft
    import torch
    import transformers

    if a.liger:
        from liger_kernel.transformers import apply_liger_kernel_to_llama
    if a.method == "qlora":
        import bitsandbytes
except Exception as e:  # one that is there and does not load is none either
    sys.exit(print(f"peer.py: {type(e).__name__}: {e}", file=sys.stderr) or 3)
if a.device == "cuda" and not torch.cuda.is_available():
    sys.exit(print("peer.py: torch sees no GPU", file=sys.stderr) or 3)


def shape(name):
    """The configuration of a known shape, from the table that graft itself has."""
    here = pathlib.Path(__file__).resolve().parent
    beside, source = here / "shapes.txt", here / "../../go/model/shapes.go"
    text = (beside if beside.exists() else source).read_text()
    known = {n: json.loads(c) for n, c in re.findall(r'^\t"([^"]+)":\s*`(.+)`', text, re.M)}
    if known.get(name, {}).get("model_type") != "llama":
        sys.exit(f"peer.py: --model {name} is no known shape of a llama: {', '.join(n for n, c in known.items() if c['model_type'] == 'llama')}")
    return {k: v for k, v in known[name].items() if k not in ("model_type", "torch_dtype")}


def four_bits(model):
    """The linear layers but the last in NF4 with nested scales, one after the other."""
    for name, child in list(model.named_modules()):
        if isinstance(child, torch.nn.Linear) and not name.endswith("lm_head"):
            quantised = bitsandbytes.nn.Linear4bit(child.in_features, child.out_features, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4", compress_statistics=True)
            quantised.weight = bitsandbytes.nn.Params4bit(child.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, quantised.to(a.device))


torch.manual_seed(0)
torch.set_num_threads(a.threads)
if a.liger:
    apply_liger_kernel_to_llama()
torch.set_default_dtype(torch.bfloat16 if a.dtype == "bf16" else torch.float32)
with torch.device(a.device):
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(use_cache=False, **shape(a.model)))
torch.set_default_dtype(torch.float32)
if a.method == "qlora":
    four_bits(model)
    torch.cuda.empty_cache()
if a.method != "full":
    model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
model.train()
params = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(params, lr=1e-4, **({"fused": True} if a.device == "cuda" else {}))
ids = torch.randint(0, model.config.vocab_size, (a.batch, a.seq), device=a.device)
wait = torch.cuda.synchronize if a.device == "cuda" else lambda: None
if a.device == "cuda":
    torch.cuda.reset_peak_memory_stats()
times = []
for _ in range(a.steps + 1):
    wait()
    began = time.perf_counter()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    wait()
    times.append(time.perf_counter() - began)
speed = ids.numel() / statistics.median(times[1:])
peak = torch.cuda.max_memory_allocated() if a.device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if a.json:
    print(json.dumps({
        "tokens_per_second": speed, "peak_bytes": peak, "seconds": times[1:], "trainable": sum(p.numel() for p in params),
        "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__, "liger": a.liger,
    }))
else:
    print(f"{speed:.1f} {peak >> 20}")
