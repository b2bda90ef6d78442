"""Writes nf4.bin: a matrix of 150 x 128 quantised by bitsandbytes, doubly and
plainly, and the SHA-256 of the values that bitsandbytes reads back.

Layout, little-endian: codes (9600 bytes, the same for both), codes of absmax
(300), nested absmax (2 f32), offset (f32), plain absmax (300 f32), dynamic map
(256 f32), SHA-256 of the doubly and of the plainly quantised values.

    pip install bitsandbytes==0.50.2 torch numpy   # what the file was made with
    python nf4.py
"""
import hashlib
import pathlib

import bitsandbytes.functional as bnb
import numpy as np
import torch

i = np.arange(19200, dtype=np.int64)
x = (((7919 * i + 13) % 20011) - 10005) / 10005 * (((i // 64) % 17) + 1) / 16
x = torch.from_numpy(x.astype(np.float32)).view(150, 128)
double, state = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=True)
plain, single = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=False)
assert (double == plain).all()


def values(codes, s):
    return hashlib.sha256(bnb.dequantize_4bit(codes, s).numpy().tobytes()).digest()


parts = [
    double.numpy().tobytes(),
    state.absmax.numpy().tobytes(),
    state.state2.absmax.numpy().tobytes(),
    np.float32(state.offset).tobytes(),
    single.absmax.numpy().tobytes(),
    bnb.create_dynamic_map(signed=True).numpy().astype(np.float32).tobytes(),
    values(double, state),
    values(plain, single),
]
pathlib.Path(__file__).with_name("nf4.bin").write_bytes(b"".join(parts))
