"""Makes the fixtures of the variants of LoRA, beside those of make_fixtures.py.

    PYTHONHASHSEED=0 python tests/parity/make_variants.py [testdata directory]

It runs after make_fixtures.py, on its checkpoints and rows, and writes

    variants.json         learning rates, losses, gradient norms
    variants.safetensors  gradients of the first step, logits and merged weights at the end
    VARIANT/initial, VARIANT/final   adapter directories as PEFT writes them
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import make_fixtures as fixtures
import numpy
import peft
import torch
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import save_file

RATIO = 16  # of LoRA+
QV = ["q_proj", "v_proj"]
VARIANTS = {
    "llama": {
        "dora": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "o_proj", "down_proj"], use_dora=True),
        "dora-rslora": dict(r=4, lora_alpha=5, target_modules=["k_proj", "up_proj"], use_dora=True, use_rslora=True,
                            rank_pattern={"k_proj": 2}),
        "rslora-patterns": dict(r=4, lora_alpha=5, target_modules=["k_proj", "gate_proj"], use_rslora=True,
                                rank_pattern={"k_proj": 2}, alpha_pattern={"layers.1.mlp.gate_proj": 3}),
        "loraplus": dict(r=4, lora_alpha=8, target_modules=QV),
        "pissa": dict(r=3, lora_alpha=6, target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights="pissa"),
        "pissa-rslora": dict(r=4, lora_alpha=5, target_modules=QV, init_lora_weights="pissa", use_rslora=True),
        "layers": dict(r=4, lora_alpha=8, target_modules=QV, layers_to_transform=[1]),
        "modules": dict(r=4, lora_alpha=8, target_modules=QV, modules_to_save=["embed_tokens", "lm_head"]),
    },
    "llama-tied": {
        "dora": dict(r=4, lora_alpha=8, target_modules="all-linear", use_dora=True),
        "modules-embed": dict(r=4, lora_alpha=8, target_modules=QV, modules_to_save=["embed_tokens"]),
        "modules-head": dict(r=4, lora_alpha=8, target_modules=QV, modules_to_save=["lm_head", "norm"]),
    },
}
FREEZE = ["model.embed_tokens.", "model.layers.0."]  # of full fine-tuning
# Dropout with our masks: the seed of the engine in engine_test.go.
DROPOUT, SEED = 0.3, 11


def philox(counter, key):
    """Philox4x32-10 of arrays of counters [n, 4]."""
    c = [counter[:, i].astype(numpy.uint64) for i in range(4)]
    k0, k1 = key
    low = numpy.uint64(0xFFFFFFFF)
    shift = numpy.uint64(32)
    for _ in range(10):
        a, b = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(b >> shift) ^ c[1] ^ numpy.uint64(k0), b & low, (a >> shift) ^ c[3] ^ numpy.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return numpy.stack(c, 1)


class Dropout(torch.nn.Module):
    """Draws the masks of bindings.Dropout, for the micro-batch that `now` says."""

    now = 0

    def __init__(self, site):
        super().__init__()
        self.site = site

    def forward(self, x):
        n = x.numel()
        counter = numpy.zeros(((n + 3) // 4, 4), dtype=numpy.uint64)
        counter[:, 0] = numpy.arange(len(counter))
        counter[:, 1], counter[:, 3] = self.site, Dropout.now
        words = philox(counter, (SEED, 0)).reshape(-1)[:n]
        keep = torch.from_numpy((words >= int(DROPOUT * 2**32)).astype(numpy.float32)).reshape(x.shape)
        return x * keep / (1 - DROPOUT)


def dropped(here, rows, generator):
    """Gradients of one step of DoRA in training mode, rows in micro-batches of their own."""
    model = peft.get_peft_model(fixtures.load(here), peft.LoraConfig(
        task_type="CAUSAL_LM", lora_dropout=DROPOUT, **VARIANTS["llama"]["dora"]))
    randomize(model, generator)
    model.train()
    site = 0
    for _, m in model.named_modules():
        if hasattr(m, "lora_dropout"):
            m.lora_dropout["default"] = Dropout(site)
            site += 1
    fixtures.save_adapter(model, here / "dora-dropout" / "initial", "llama")
    count = sum(int((labels[1:] != fixtures.MASKED).sum()) for _, labels in rows)
    for Dropout.now, row in enumerate(rows):
        loss, _ = fixtures.row_loss(model, *row)
        (loss / count).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


def randomize(model, generator):
    for n, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "lora_magnitude" in n:
            p.data = p.data * (1 + 0.2 * noise)
        elif "lora_" in n:
            p.data = noise * (0.2 if "lora_B" in n else 1) / p.shape[1] ** 0.5
        elif "modules_to_save" in n:
            p.data = p.data + 0.05 * noise


def plain(name):
    return fixtures.plain(name.replace(".modules_to_save.default.", ".").replace("lora_magnitude_vector.default.weight", "lora_magnitude_vector"))


def loraplus(model):
    return create_loraplus_optimizer(model, torch.optim.AdamW, lr=fixtures.LR, loraplus_lr_ratio=RATIO,
                                     loraplus_weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8)


def train(model, rows, optimizer=None):
    """make_fixtures.train with a constant rate, and an optimizer of its own."""
    if optimizer is None:
        return fixtures.train(model, rows, "constant")
    groups, fixtures.groups = fixtures.groups, lambda m: optimizer.param_groups
    try:
        return fixtures.train(model, rows, "constant")
    finally:
        fixtures.groups = groups


def make_family(name, root, generator):
    here = root / name
    fixture = json.loads((here / "fixture.json").read_text())
    rows = [(torch.tensor(r["ids"]), torch.tensor(r["labels"])) for r in fixture["rows"]]
    record, tensors = {}, {}
    for variant, settings in VARIANTS[name].items():
        shutil.rmtree(here / variant, ignore_errors=True)
        model = peft.get_peft_model(fixtures.load(here), peft.LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **settings))
        pissa, convert = variant.startswith("pissa"), {}
        config = model.peft_config["default"]
        if pissa:
            initial = here / variant / "initial"
            config.init_lora_weights = True
            fixtures.save_adapter(model, initial, name)
            config.init_lora_weights = settings["init_lora_weights"]
            convert = dict(path_initial_model_for_weight_conversion=str(initial))
        else:
            randomize(model, generator)
            fixtures.save_adapter(model, here / variant / "initial", name)
        record[variant], gradients = train(model, rows, loraplus(model) if variant == "loraplus" else None)
        tensors |= {f"{variant}.gradient.{plain(n)}": g for n, g in gradients.items()}
        tensors[f"{variant}.logits"] = fixtures.logits(model, rows)[2]
        config.base_model_name_or_path = "tiny-" + name
        model.save_pretrained(here / variant / "final", save_embedding_layers=False, **convert)
        (here / variant / "final" / "README.md").unlink()
        if pissa:
            (here / variant / "initial" / "README.md").unlink(missing_ok=True)
        if variant.startswith("dora"):
            before = fixtures.load(here).state_dict()
            after = model.merge_and_unload().state_dict()
            tensors |= {f"{variant}.merged.{n}": w for n, w in after.items() if not torch.equal(w, before[n])}
    if name == "llama":
        model = fixtures.load(here)
        for n, p in model.named_parameters():
            p.requires_grad = not n.startswith(tuple(FREEZE))
        record["frozen"], gradients = train(model, rows)
        tensors |= {f"frozen.gradient.{n}": g for n, g in gradients.items()}
        shutil.rmtree(here / "dora-dropout", ignore_errors=True)
        gradients = dropped(here, [rows[i] for i in (0, 2, 4)], generator)
        tensors |= {f"dora-dropout.gradient.{plain(n)}": g for n, g in gradients.items()}
    save_file({n: t.contiguous().float() for n, t in tensors.items()}, here / "variants.safetensors")
    (here / "variants.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for i, name in enumerate(VARIANTS):
        torch.manual_seed(i)
        make_family(name, root, torch.Generator().manual_seed(200 + i))


if __name__ == "__main__":
    main()
