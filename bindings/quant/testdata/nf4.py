"""Writes what ../nf4_test.go reads, from bitsandbytes on the CPU.

nf4.bin: a matrix of 150 x 128 quantised doubly and plainly, and the SHA-256 of
the values that bitsandbytes reads back. Layout, little-endian: codes (9600
bytes, the same for both), codes of absmax (300), nested absmax (2 f32), offset
(f32), plain absmax (300 f32), dynamic maps (256 f32 signed, 256 unsigned),
SHA-256 of the doubly and of the plainly quantised values.

nf4.json: hashes of the parts of larger and odder matrices, whose values both
sides compute from a formula.

    pip install bitsandbytes==0.50.2 torch==2.15.0 numpy   # what they were made with
    python nf4.py
"""
import hashlib
import json
import pathlib

import bitsandbytes.functional as bnb
import numpy as np
import torch

torch.set_num_threads(1)  # the order of a mean depends on it
here = pathlib.Path(__file__).parent


def sha(t):
    return hashlib.sha256(np.ascontiguousarray(t).tobytes()).digest()


def hashed(n, spread):
    """Numbers of [-1, 1) from a hash of their index, each block with a scale."""
    h = np.arange(n, dtype=np.uint64) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = h * np.uint64(2246822519) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(13)
    x = ((h >> np.uint64(8)).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0**-23)
    scale = ((np.arange(n) // 64 * 7919) % spread + 1).astype(np.float32) * np.float32(1 / 64)
    return x * scale


def ties():
    """Blocks whose values lie on the midpoints of codes, and a neighbour of them
    on each side; scales are powers of two, one of them below normal numbers."""
    code = bnb.get_4bit_type("nf4", device="cpu").numpy()
    mid = (code[1:] + code[:-1]) / np.float32(2)
    row = np.zeros(64, np.float32)
    row[:15], row[15:30], row[30:45] = mid, np.nextafter(mid, np.float32(-2)), np.nextafter(mid, np.float32(2))
    row[63] = 1
    return np.concatenate([row * np.float32(2.0**e) for e in (0, -3, 5, -120)] + [np.zeros(64, np.float32), -row])


def parts(x):
    x = torch.from_numpy(x).view(-1, 64)
    codes, state = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=True)
    plain, single = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=False)
    assert (codes == plain).all()
    return dict(
        n=x.numel(), codes=sha(codes).hex(), absmax=sha(single.absmax).hex(), absmax_codes=sha(state.absmax).hex(),
        nested=sha(state.state2.absmax).hex(), offset=float(state.offset), values=sha(bnb.dequantize_4bit(codes, state)).hex(),
        plain_values=sha(bnb.dequantize_4bit(plain, single)).hex(),
    )


i = np.arange(19200, dtype=np.int64)
x = (((7919 * i + 13) % 20011) - 10005) / 10005 * (((i // 64) % 17) + 1) / 16
x = torch.from_numpy(x.astype(np.float32)).view(150, 128)
double, state = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=True)
plain, single = bnb.quantize_4bit(x, quant_type="nf4", compress_statistics=False)
assert (double == plain).all()
(here / "nf4.bin").write_bytes(b"".join([
    double.numpy().tobytes(),
    state.absmax.numpy().tobytes(),
    state.state2.absmax.numpy().tobytes(),
    np.float32(state.offset).tobytes(),
    single.absmax.numpy().tobytes(),
    bnb.create_dynamic_map(signed=True).numpy().astype(np.float32).tobytes(),
    bnb.create_dynamic_map(signed=False).numpy().astype(np.float32).tobytes(),
    sha(bnb.dequantize_4bit(double, state)),
    sha(bnb.dequantize_4bit(plain, single)),
]))
cases = dict(
    ties=parts(ties()),
    **{f"{n} blocks": parts(hashed(64 * n, spread)) for n, spread in
       [(1, 1), (3, 2), (7, 5), (8, 5), (31, 5), (32, 97), (257, 97), (1000, 1), (4099, 89), (40961, 97), (131072, 971)]},
)
(here / "nf4.json").write_text(json.dumps(cases, indent=1) + "\n")
