"""One training step of the SmolLM2-135M shape with transformers + PEFT on the CPU.

Random weights and tokens, LoRA r=16 on all linear layers, AdamW, clip 1.0.
Prints tokens/s (median of the steps after a warm-up step) and peak memory.
"""
import argparse
import resource
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16")
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(a.threads)
config = LlamaConfig(
    hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
    vocab_size=49152, rms_norm_eps=1e-5, tie_word_embeddings=True, max_position_embeddings=8192,
)
model = LlamaForCausalLM(config).to(torch.bfloat16 if a.dtype == "bf16" else torch.float32)
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
params = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(params, lr=1e-4)
ids = torch.randint(0, config.vocab_size, (4, 256))
times = []
for _ in range(a.steps + 1):
    began = time.perf_counter()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.perf_counter() - began)
print(f"{ids.numel() / statistics.median(times[1:]):.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
