"""Makes the fixtures of prompt tuning, P-tuning and prefix tuning with PEFT.

    PYTHONHASHSEED=0 python tests/parity/make_prompts.py [testdata directory]

It reads the checkpoints and rows that make_fixtures.py wrote, and adds to each
family

    prompts.json          losses, gradient norms, learning rates; losses of padded
                          batches; greedy answers
    prompts.safetensors   gradients, first and trained values under our names, logits
    METHOD/initial, METHOD/final   adapter directories as PEFT writes them

PEFT keeps the network of P-tuning and of a prefix projection out of its
directories, so its values are in prompts.safetensors alone.
"""

import json
import pathlib
import sys

import peft
import torch
from safetensors.torch import save_file

from make_fixtures import FAMILIES, LAYERS, MASKED, SCHEDULE, load, logits, save_adapter, train

K, HIDDEN = 4, 24
METHODS = {
    "prompt": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=K),
    "ptuning": peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=K, encoder_hidden_size=HIDDEN),
    "prefix": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=K),
    "projected": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=K, prefix_projection=True, encoder_hidden_size=HIDDEN),
}
# A window ends before the prefix: transformers hides it from later tokens, and
# graft refuses such runs.
WINDOWED = ["mistral", "qwen2"]
SHORT, NEW = [1, 3, 2], 12


def ours(method, name, t):
    """A tensor of PEFT's prompt encoder under our names."""
    name = name.removeprefix("prompt_encoder.default.")
    if name == "embedding.weight" and method == "prompt":
        return {"prompt_embeddings": t}
    if name == "embedding.weight" and method == "prefix":
        parts = t.reshape(K, 2 * LAYERS, -1)
        return {f"prefix.layers.{i // 2}.{'value' if i % 2 else 'key'}": parts[:, i] for i in range(2 * LAYERS)}
    if name.startswith("transform.2."):
        return {f"prompt_encoder.out.{i}.{name.split('.')[-1]}": part for i, part in enumerate(t.chunk(2 * LAYERS))}
    names = {"transform.0": "hidden.0", "mlp_head.0": "hidden.0", "mlp_head.2": "hidden.1", "mlp_head.4": "out.0"}
    for theirs, our in names.items():
        name = name.replace(theirs, our)
    return {"prompt_encoder." + name: t}


def renamed(method, tensors, prefix):
    return {f"{method}.{prefix}.{n}": t.detach().clone() for name, x in tensors.items() for n, t in ours(method, name, x).items()}


def pad(rows, side):
    """A batch of rows with padding on one side, and the place of each token."""
    width = max(len(ids) for ids, _ in rows)
    ids, labels, mask = (torch.full((len(rows), width), v) for v in (0, MASKED, 0))
    for i, (x, y) in enumerate(rows):
        at = slice(0, len(x)) if side == "right" else slice(width - len(x), width)
        ids[i, at], labels[i, at], mask[i, at] = x, y, 1
        labels[i, at.start] = MASKED  # with padding on the left a pad would predict it
    return ids, labels, mask, (mask.cumsum(1) - 1).clamp(min=0)


def loss_of(z, labels):
    """The mean over target tokens; z may be longer by virtual tokens in front."""
    labels = torch.cat([torch.full((len(labels), z.shape[1] - labels.shape[1]), MASKED), labels], 1)
    return torch.nn.functional.cross_entropy(z[:, :-1].reshape(-1, z.shape[2]), labels[:, 1:].reshape(-1), ignore_index=MASKED)


def padded(model, method, rows):
    """Losses of all rows in one padded batch.

    PEFT has no positions for prompt tuning and counts padding on the left as
    places between prompt and text. "left" gives the base the same embeddings
    with the places of each row alone; "left as PEFT" is what PEFT gives.
    """
    out = {}
    with torch.no_grad():
        for side in ("right", "left"):
            ids, labels, mask, places = pad(rows, side)
            if method in ("prefix", "projected"):
                out[side] = loss_of(model(ids, attention_mask=mask, position_ids=places).logits, labels).item()
                continue
            z = model(ids, attention_mask=mask).logits
            out["left as PEFT" if side == "left" else side] = loss_of(z, labels).item()
            if side == "left":
                prompt = model.get_prompt(len(rows))
                embeds = torch.cat([prompt, model.word_embeddings(ids)], 1)
                places = torch.cat([torch.arange(K).expand(len(rows), K), places + K], 1)
                z = model.get_base_model()(inputs_embeds=embeds, attention_mask=torch.cat([torch.ones(len(rows), K), mask], 1), position_ids=places).logits
                out[side] = loss_of(z, labels).item()
    return out


def answers(model, method, rows):
    """Greedy answers, and the smallest distance of the best two logits.

    They are computed token by token without a cache. For prompt tuning
    transformers' generate over the same embeddings has to agree. (generate of
    the PEFT model itself loses the virtual tokens: PEFT 0.21 hands transformers
    5.24 its past_key_values under a name that is no longer looked at.)
    """
    all = []
    for i in SHORT:
        start, gap = rows[i][0][:6], float("inf")
        ids = start
        with torch.no_grad():
            for _ in range(NEW):
                z = model(ids[None]).logits[0, -1]
                top = z.topk(2).values
                gap = min(gap, (top[0] - top[1]).item())
                ids = torch.cat([ids, z.argmax()[None]])
            if method in ("prompt", "ptuning"):
                embeds = torch.cat([model.get_prompt(1), model.word_embeddings(start[None])], 1)
                g = model.get_base_model().generate(inputs_embeds=embeds, attention_mask=torch.ones(embeds.shape[:2]), max_new_tokens=NEW,
                                                    do_sample=False, eos_token_id=None, pad_token_id=0)
                if g[0].tolist() != ids[-NEW:].tolist():
                    sys.exit(f"generate gives {g[0].tolist()}, the forward pass {ids[-NEW:].tolist()}")
        all.append(dict(prompt=start.tolist(), tokens=ids[-NEW:].tolist(), gap=gap))
    return all


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for i, name in enumerate(FAMILIES):
        generator = torch.Generator().manual_seed(200 + i)
        here = root / name
        rows = [(torch.tensor(r["ids"]), torch.tensor(r["labels"])) for r in json.loads((here / "fixture.json").read_text())["rows"]]
        record, tensors = dict(methods={}, padded={}, answers={}), {}
        for method, config in METHODS.items():
            if method in ("prefix", "projected") and name in WINDOWED:
                continue
            torch.manual_seed(i)
            model = peft.get_peft_model(load(here), type(config)(**config.to_dict()))
            trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
            for n, p in trained.items():
                p.data = torch.randn(p.shape, generator=generator) * (0.5 if "embedding" in n else 1 / p.shape[-1] ** 0.5)
            tensors |= renamed(method, trained, "initial")
            save_adapter(model, here / method / "initial", name)
            record["padded"][method] = padded(model, method, rows)
            record["methods"][method], gradients = train(model, rows, SCHEDULE[name])
            tensors |= renamed(method, gradients, "gradient") | renamed(method, trained, "final")
            save_adapter(model, here / method / "final", name)
            tensors[f"{method}.logits"] = logits(model, rows)[2][-len(rows[2][0]):]
            record["answers"][method] = answers(model, method, rows)
            print(name, method, record["padded"][method], [a["gap"] for a in record["answers"][method]])
        save_file({n: t.contiguous().float() for n, t in tensors.items()}, here / "prompts.safetensors")
        (here / "prompts.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
