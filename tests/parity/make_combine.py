"""Makes the fixtures of combined adapters with PEFT's add_weighted_adapter.

    PYTHONHASHSEED=0 python tests/parity/make_combine.py [testdata directory]

It runs after make_variants.py, on the adapters of "llama", and writes
llama/combined.safetensors: KIND.PATH.lora_A and .lora_B of each layer, and for
svd, whose vectors have no sign, their product KIND.PATH.update.
"""

import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched

import make_fixtures as fixtures
import numpy
import peft
import torch
from make_variants import philox
from peft.utils import merge_utils
from safetensors.torch import save_file

# Other layers, another scale, fewer layers, a weight below zero.
ADAPTERS = {"qv": 0.7, "loraplus": -0.4, "rslora": 0.5, "layers": 0.3}
DENSITY, SEED, RANK = 0.6, 3, 5
KINDS = {
    "cat": {}, "linear": {}, "svd": dict(svd_rank=RANK),
    "magnitude_prune": dict(density=DENSITY), "dare_linear": dict(density=DENSITY),
    "ties": dict(density=DENSITY, majority_sign_method="total"),
    "ties.frequency": dict(density=DENSITY, majority_sign_method="frequency"),
    "dare_ties": dict(density=DENSITY, majority_sign_method="total"),
}


def masks(model):
    """The masks of go/adapter, in the order in which PEFT asks for them."""
    layers = [(n, m) for n, m in model.named_modules() if hasattr(m, "lora_A")]
    paths = sorted(n for n, m in layers if len(m.lora_A))
    for path, layer in layers:
        count = sum(a in layer.lora_A for a in ADAPTERS)
        for half in range(2):
            for i in range(count):
                yield 2 * paths.index(path) + half, i


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "testdata") / "llama"
    torch.set_num_threads(1)
    first, *others = ADAPTERS
    model = peft.PeftModel.from_pretrained(fixtures.load(root), root / first / "final", adapter_name=first)
    for name in others:
        model.load_adapter(root / name / "final", name)
    tensors = {}
    for kind, options in KINDS.items():
        order = masks(model)

        def prune(tensor, density, rescale):
            site, i = next(order)
            n = tensor.numel()
            counter = numpy.zeros(((n + 3) // 4, 4), dtype=numpy.uint64)
            counter[:, 0] = numpy.arange(len(counter))
            counter[:, 1:] = site, i, 0xDA4E0000
            kept = philox(counter, (SEED, 0)).reshape(-1)[:n] < density * 2**32
            return tensor * torch.from_numpy(kept.astype(numpy.float32)).reshape(tensor.shape) / density

        merge_utils.random_pruning = prune
        name = kind.replace(".", "_")
        model.add_weighted_adapter(list(ADAPTERS), list(ADAPTERS.values()), name, combination_type=kind.split(".")[0], **options)
        if kind.startswith("dare"):
            assert next(order, None) is None, "PEFT asked for fewer masks"
        for path, layer in model.base_model.model.named_modules():
            if not hasattr(layer, "lora_A"):
                continue
            assert layer.scaling[name] == 1
            a, b = layer.lora_A[name].weight.data, layer.lora_B[name].weight.data
            if kind == "svd":
                tensors[f"{kind}.{path}.update"] = b @ a
            else:
                tensors[f"{kind}.{path}.lora_A"], tensors[f"{kind}.{path}.lora_B"] = a, b
    save_file({n: t.contiguous().float() for n, t in tensors.items()}, root / "combined.safetensors")
    print(len(tensors), "tensors")


if __name__ == "__main__":
    main()
