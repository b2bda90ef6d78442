"""Writes reference.safetensors with the reference implementation.

Values are small integers that each dtype holds exactly: element i of the
tensor at place k is (7 * i + k) mod 100.
"""
import torch
from safetensors.torch import save_file

SHAPES = {
    "weight": (torch.float32, (3, 4)),
    "norm.half": (torch.float16, (5,)),
    "norm.brain": (torch.bfloat16, (5,)),
    "double": (torch.float64, (2, 1, 2)),
    "scalar": (torch.float32, ()),
    "empty": (torch.int32, (0, 3)),
    "codes": (torch.uint8, (7,)),
    "a<b>&c": (torch.int8, (1,)),
    "ids": (torch.int64, (2, 2)),
    "mask": (torch.bool, (3,)),
    "short": (torch.int16, (3,)),
    "eight": (torch.float8_e4m3fn, (2,)),
    "five": (torch.float8_e5m2, (2,)),
}

tensors = {}
for k, (name, (dtype, shape)) in enumerate(SHAPES.items()):
    n = 1
    for d in shape:
        n *= d
    values = torch.tensor([(7 * i + k) % 100 for i in range(n)], dtype=torch.float64)
    tensors[name] = values.reshape(shape).to(dtype)
save_file(tensors, "reference.safetensors", metadata={"format": "pt"})
