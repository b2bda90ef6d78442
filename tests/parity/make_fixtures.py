"""Makes the fixtures of tests/parity with PyTorch, transformers and PEFT.

    PYTHONHASHSEED=0 python tests/parity/make_fixtures.py [testdata directory]

Everything runs on the CPU in float32 with eager attention and without dropout,
from fixed seeds. For each family there is a tiny random checkpoint as
save_pretrained writes it, and beside it

    fixture.json         token ids, labels, losses, gradient norms, learning rates
    fixture.safetensors  logits, gradients, trained and merged weights
    METHOD/initial, METHOD/final   adapter directories as PEFT writes them

Each row runs alone, so nothing here depends on padding or packing.
"""

import json
import math
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

V, H, LAYERS, STEPS, LR = 61, 32, 2, 20, 1e-3
LENGTHS = [37, 5, 23, 12, 18, 30]
ROWS_PER_STEP = 3
MASKED = -100

SIZES = dict(
    vocab_size=V, hidden_size=H, intermediate_size=40, num_hidden_layers=LAYERS,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    bos_token_id=1, eos_token_id=2, pad_token_id=None, tie_word_embeddings=False,
    attention_dropout=0.0,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=16)

# What each family is to break: scaled rope and every bias; a tied head and one
# key head; a window and a head that is not hidden/heads; biases of q, k, v and
# a window on the upper layer alone; norms of heads.
FAMILIES = {
    "llama": LlamaConfig(**SIZES, rms_norm_eps=1e-5, attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3),
    "llama-tied": LlamaConfig(**{**SIZES, "tie_word_embeddings": True, "num_key_value_heads": 1}, rms_norm_eps=1e-5,
                              rope_parameters=dict(rope_type="default", rope_theta=500000.0)),
    "mistral": MistralConfig(**SIZES, head_dim=16, sliding_window=8, rms_norm_eps=1e-5,
                             rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
    "qwen2": Qwen2Config(**{**SIZES, "tie_word_embeddings": True}, rms_norm_eps=1e-6, use_sliding_window=True,
                         sliding_window=8, max_window_layers=1,
                         rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
    "qwen3": Qwen3Config(**SIZES, head_dim=16, rms_norm_eps=1e-6,
                         rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
}

# rope scalings on the weights of "llama": logits only. Rows are longer and
# shorter than the original length.
ROPES = {
    "linear": dict(rope_type="linear", rope_theta=10000.0, factor=2.5),
    "dynamic": dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0),
    "yarn": dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16),
    "llama3": LLAMA3,
}

METHODS = {
    "qv": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "all-linear": dict(r=3, lora_alpha=6, target_modules="all-linear"),
    "rslora": dict(r=4, lora_alpha=5, target_modules=["k_proj", "o_proj", "down_proj"], use_rslora=True),
    "patterns": dict(r=4, lora_alpha=8, target_modules=["k_proj", "up_proj"], rank_pattern={"k_proj": 2},
                     alpha_pattern={"layers.1.mlp.up_proj": 3}),
}
# The merge of one adapter a family is stored.
MERGED = {"llama": "all-linear", "mistral": "qv", "qwen2": "rslora", "qwen3": "patterns"}
SCHEDULE = {"llama": "linear", "llama-tied": "constant", "mistral": "constant", "qwen2": "linear", "qwen3": "cosine"}
WARMUP = 3


def randomize(model, generator):
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() == 1:
            p.data = 0.2 * noise + (1.0 if "norm" in name else 0.0)
        elif "embed" in name:
            p.data = 0.5 * noise
        else:
            p.data = noise / math.sqrt(p.shape[1])


def make_rows(generator):
    rows = []
    for n in LENGTHS:
        ids = torch.randint(0, V, (n,), generator=generator)
        masked = torch.rand(n, generator=generator) < 0.3
        rows.append((ids, torch.where(masked, MASKED, ids)))
    return rows


def row_loss(model, ids, labels):
    """Sum over the target tokens, counted after the shift, and their number."""
    z = model(ids[None]).logits[0].float()
    virtual = torch.full((len(z) - len(labels),), MASKED)  # in front, with prompt tuning
    target = torch.cat([virtual, labels])[1:]
    return torch.nn.functional.cross_entropy(z[:-1], target, ignore_index=MASKED, reduction="sum"), int((target != MASKED).sum())


def backward(model, rows):
    losses = [row_loss(model, *r) for r in rows]
    count = sum(n for _, n in losses)
    total = 0.0
    for loss, _ in losses:
        (loss / count).backward()
        total += loss.item()
    return total / count


def groups(model):
    """Weight decay by the rule of transformers' Trainer."""
    decayed = set(transformers.Trainer.get_decay_parameter_names(None, model))
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [{"params": [p for n, p in trained if n in decayed], "weight_decay": 0.01},
            {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0}]


def train(model, rows, schedule):
    """20 steps of AdamW; the gradients of the first before clipping."""
    warmup = 0 if schedule == "constant" else WARMUP
    optimizer = torch.optim.AdamW([g for g in groups(model) if g["params"]], lr=LR, betas=(0.9, 0.999), eps=1e-8)
    scheduler = transformers.get_scheduler(schedule, optimizer, warmup, STEPS)
    record = dict(schedule=schedule, warmup=warmup, steps=[])
    gradients = {}
    for step in range(STEPS):
        chosen = [(step * ROWS_PER_STEP + i) % len(rows) if step % 2 else (step + 2 * i) % len(rows) for i in range(ROWS_PER_STEP)]
        optimizer.zero_grad()
        loss = backward(model, [rows[i] for i in chosen])
        if step == 0:
            gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
        norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        record["steps"].append(dict(rows=chosen, lr=optimizer.param_groups[0]["lr"], loss=loss, grad_norm=norm.item()))
        optimizer.step()
        scheduler.step()
    return record, gradients


def load(directory, **changes):
    return transformers.AutoModelForCausalLM.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32, **changes).eval()


def logits(model, rows):
    with torch.no_grad():
        return [model(ids[None]).logits[0].clone() for ids, _ in rows]


def save_adapter(model, directory, name):
    model.peft_config["default"].base_model_name_or_path = "tiny-" + name
    model.save_pretrained(directory, save_embedding_layers=False)
    (directory / "README.md").unlink()


def plain(name):
    return name.removeprefix("base_model.model.").replace(".default.", ".")


def make_family(name, config, root, generator):
    here = root / name
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomize(model, generator)
    model.save_pretrained(here)
    (here / "generation_config.json").unlink(missing_ok=True)
    rows = make_rows(generator)
    tensors = {}
    record = dict(
        versions=dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__, peft=peft.__version__),
        rows=[dict(ids=ids.tolist(), labels=labels.tolist()) for ids, labels in rows], methods={})

    model = load(here)
    losses = [row_loss(model, *r) for r in rows]
    record["losses"] = [dict(sum=l.item(), count=n) for l, n in losses]
    for i, z in enumerate(logits(model, rows)):
        tensors[f"logits.{i}"] = z

    record["methods"]["full"], gradients = train(model, rows, SCHEDULE[name])
    tensors |= {f"full.gradient.{n}": g for n, g in gradients.items()}
    tensors |= {f"full.final.{n}": p.data for n, p in model.named_parameters()}

    for method, settings in METHODS.items():
        model = peft.get_peft_model(load(here), peft.LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **settings))
        for n, p in model.named_parameters():
            # B is random too, or its A would have no gradient; but the update
            # stays a fraction of W. With one as large as W attention
            # saturates, and float32 itself is 1e-4 from float64.
            if "lora_" in n:
                p.data = torch.randn(p.shape, generator=generator) * (0.2 if "lora_B" in n else 1) / math.sqrt(p.shape[1])
        save_adapter(model, here / method / "initial", name)
        record["methods"][method], gradients = train(model, rows, SCHEDULE[name])
        tensors |= {f"{method}.gradient.{plain(n)}": g for n, g in gradients.items()}
        save_adapter(model, here / method / "final", name)
        tensors[f"{method}.logits"] = logits(model, rows)[2]
        if MERGED.get(name) == method:
            before = load(here).state_dict()
            after = model.merge_and_unload().state_dict()
            tensors |= {f"merged.{n}": w for n, w in after.items() if not torch.equal(w, before[n])}

    if name == "llama":
        record["ropes"] = {}
        for rope, parameters in ROPES.items():
            changed = LlamaConfig.from_pretrained(here)
            changed.rope_parameters = dict(parameters)
            changed.max_position_embeddings = 64 if rope == "yarn" else 16
            record["ropes"][rope] = json.loads(changed.to_json_string(use_diff=False))
            for i in range(len(rows)):  # a fresh model each: "dynamic" remembers the longest row
                tensors[f"rope.{rope}.{i}"] = logits(load(here, config=changed), rows[i:i + 1])[0]

    save_file({n: t.contiguous().float() for n, t in tensors.items()}, here / "fixture.safetensors")
    (here / "fixture.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    return record["versions"]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for i, (name, config) in enumerate(FAMILIES.items()):
        torch.manual_seed(i)
        print(name, make_family(name, config, root, torch.Generator().manual_seed(100 + i)))


if __name__ == "__main__":
    main()
