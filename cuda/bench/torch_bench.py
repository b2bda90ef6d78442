"""The same shapes in PyTorch, for record.py. PyTorch's best: its fused SDPA, compiled
elementwise code, cuBLAS products, and the unfused adapter of PEFT. Liger kernels and
bitsandbytes are asked as well where they are installed.
"""

import importlib

import torch
import torch.nn.functional as F

try:
    import bitsandbytes.functional as bnb
except ImportError:
    bnb = None


def liger(module, name):
    """A function of Liger's; None where it is not installed or a release has it not."""
    try:
        return getattr(importlib.import_module("liger_kernel.ops." + module), name).apply
    except (ImportError, AttributeError):
        return None


def measure(work, samples=50):
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for i in range(samples + 5):
        flush.fill_(i % 256)
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        stop.record()
        stop.synchronize()
        if i >= 5:
            times.append(start.elapsed_time(stop) * 1e3)
    return sorted(times)[len(times) // 2]


def normal(*shape, grad=False, dtype=torch.bfloat16):
    return torch.randn(*shape, device="cuda", dtype=dtype, requires_grad=grad)


def backward(outputs, inputs):
    """The backward pass alone."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    grads = tuple(torch.randn_like(o) for o in outputs)
    return lambda: torch.autograd.grad(outputs, inputs, grads, retain_graph=True)


def linear(t, k, n, rank, back):
    x, w = normal(t, k, grad=True), normal(n, k)
    if not rank:  # the product that gives y, or the one that gives dx
        dy = normal(t, n)
        return (lambda: dy @ w) if back else (lambda: F.linear(x, w))
    a, b = normal(rank, k, grad=True, dtype=torch.float32), normal(n, rank, grad=True, dtype=torch.float32)
    forward = lambda: F.linear(x, w) + 2.0 * F.linear(F.linear(x, a.bfloat16()), b.bfloat16())
    return backward(forward(), (x, a, b)) if back else forward


def attention(length, back):
    t = max(length, 8192)
    q, k, v = (normal(t // length, h, length, 128, grad=True) for h in (32, 8, 8))
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return backward(forward(), (q, k, v)) if back else forward


def decode(tokens, cached):
    q, k, v = normal(tokens, 32, 1, 128), normal(tokens, 8, cached, 128), normal(tokens, 8, cached, 128)
    return lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


@torch.compile
def norm(x, residual, w):
    s = x + residual
    f = s.float()
    return s, (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


@torch.compile
def plain_norm(x, w):
    f = x.float()
    return (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


@torch.compile
def gated(g, u):
    return F.silu(g) * u


@torch.compile
def rotated(x, cosine, sine):
    left, right = x.chunk(2, -1)
    return x * cosine + torch.cat((-right, left), -1) * sine


def norms(t, h, back):
    x, r, w = normal(t, h, grad=back), normal(t, h), normal(h)
    all = {"torch": backward(plain_norm(x, w), (x,)) if back else lambda: norm(x, r, w)}
    if back and (f := liger("rms_norm", "LigerRMSNormFunction")):
        all["liger"] = backward(f(x, w, 1e-5, 0.0, "llama", False), (x,))
    if not back and (f := liger("fused_add_rms_norm", "LigerFusedAddRMSNormFunction")):
        all["liger"] = lambda: f(x, r, w, 1e-5, 0.0, "llama", False)
    return all


def gates(t, h, back):
    g, u = normal(t, h, grad=back), normal(t, h, grad=back)
    all = {"torch": backward(gated(g, u), (g, u)) if back else lambda: gated(g, u)}
    if f := liger("swiglu", "LigerSiLUMulFunction"):
        all["liger"] = backward(f(g, u), (g, u)) if back else lambda: f(g, u)
    return all


def rotations(t, h):
    heads = h // 128
    x, table = normal(t, heads, 128), normal(2, t, 1, 128)
    all = {"torch": lambda: rotated(x, table[0], table[1])}
    if f := liger("rope", "LigerRopeFunction"):  # of queries and keys in one call, in place: half of the heads each
        q, k = (normal(1, t, n, 128).transpose(1, 2) for n in (heads - heads // 2, heads // 2))
        cosine, sine = normal(1, t, 128), normal(1, t, 128)
        all["liger"] = lambda: f(q, k, cosine, sine)
    return all


def output_layer(t, vocab):
    x, w = normal(t, 4096, grad=True), normal(vocab, 4096)
    target = torch.arange(t, device="cuda") * 7919 % vocab
    all = {"torch": lambda: torch.autograd.grad(F.cross_entropy(F.linear(x, w).float(), target), x)}
    if f := liger("fused_linear_cross_entropy", "LigerFusedLinearCrossEntropyFunction"):
        first = lambda out: out[0] if isinstance(out, tuple) else out
        all["liger"] = lambda: torch.autograd.grad(first(f(x, w, target)), x)
    return all


def embedding(t, h):
    table = normal(128256, h, grad=True, dtype=torch.float32)
    ids = torch.arange(t, device="cuda") % (t // 2) * 104729 % 128256
    all = {"torch": backward(F.embedding(ids, table), (table,))}
    if f := liger("experimental.embedding", "LigerEmbeddingFunction"):
        all["liger"] = backward(f(table, ids), (table,))
    return all


def four_bits(rows, cols, quantise):
    w = normal(rows, cols)
    if quantise:
        return lambda: bnb.quantize_4bit(w, quant_type="nf4")
    codes, state = bnb.quantize_4bit(w, quant_type="nf4", compress_statistics=True)
    return lambda: bnb.dequantize_4bit(codes, state)


def adamw(n, dtype):
    p = torch.randn(n, device="cuda", dtype=dtype, requires_grad=True)
    p.grad = torch.randn_like(p)
    return torch.optim.AdamW([p], fused=True).step


def peers(name):
    """What others do for a row of the CSV: {name of a peer: work}; none where they have no counterpart."""
    op, _, shape = name.partition("/")
    shape, _, rank = shape.partition("+")
    size = [int(s) for s in shape.split("x")]
    back = op.endswith(("_backward", "_dx"))
    if op.startswith(("gemm_", "lora_linear")):
        return {"torch": linear(*size, int(rank or 0), back)}
    if op in ("attention", "attention_backward"):
        return {"torch": attention(size[0], back)}
    if op == "attention_decode":
        return {"torch": decode(*size)}
    if op.startswith("rms_norm"):
        return norms(*size, back)
    if op.startswith("swiglu"):
        return gates(*size, back)
    if op == "rope":
        return rotations(*size)
    if op == "linear_cross_entropy":
        return output_layer(*size)
    if op == "embedding_backward":
        return embedding(*size)
    if op == "grad_norm":
        g = normal(size[0], dtype=torch.float32)
        return {"torch": lambda: torch.linalg.vector_norm(g)}
    if op in ("adamw", "adamw_bf16"):
        return {"torch": adamw(size[0], torch.float32 if op == "adamw" else torch.bfloat16)}
    if op in ("nf4_dequantize", "nf4_quantize") and bnb:
        return {"bitsandbytes": four_bits(*size, op == "nf4_quantize")}
    return {}
