"""The same shapes in PyTorch, for record.py. PyTorch's best: its fused SDPA, compiled
elementwise code, cuBLAS products, and the unfused adapter of PEFT.
"""

import torch
import torch.nn.functional as F

FLUSH = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")


def measure(work, samples=50):
    times = []
    for i in range(samples + 5):
        FLUSH.fill_(i % 256)
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        stop.record()
        stop.synchronize()
        if i >= 5:
            times.append(start.elapsed_time(stop) * 1e3)
    return sorted(times)[len(times) // 2]


def normal(*shape, grad=False):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16, requires_grad=grad)


def linear(t, k, n, rank, backward):
    x, w = normal(t, k, grad=True), normal(n, k)
    a, b = torch.randn(rank, k, device="cuda", requires_grad=True), torch.randn(n, rank, device="cuda", requires_grad=True)

    def forward():
        y = F.linear(x, w)
        return y + 2.0 * F.linear(F.linear(x, a.bfloat16()), b.bfloat16()) if rank else y

    if not backward:
        return forward
    y, dy = forward(), normal(t, n)
    return lambda: torch.autograd.grad(y, (x, a, b), dy, retain_graph=True)


def attention(length, backward):
    t = max(length, 8192)
    q, k, v = (normal(t // length, h, length, 128, grad=True) for h in (32, 8, 8))
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    if not backward:
        return forward
    o = forward()
    do = torch.randn_like(o)
    return lambda: torch.autograd.grad(o, (q, k, v), do, retain_graph=True)


@torch.compile
def norm(x, residual, w):
    s = x + residual
    f = s.float()
    return s, (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


@torch.compile
def gated(g, u):
    return F.silu(g) * u


def work_for(name):
    """What PyTorch does for a row of the CSV; None where it has no counterpart."""
    op, _, shape = name.partition("/")
    shape, _, rank = shape.partition("+")
    size = [int(s) for s in shape.split("x")]
    if op.startswith("gemm_"):
        return linear(*size, 0, False)
    if op.startswith("lora_linear"):
        return linear(*size, int(rank), op.endswith("backward"))
    if op.startswith("attention"):
        return attention(size[0], op.endswith("backward"))
    if op == "rms_norm_residual":
        x, r, w = normal(*size), normal(*size), normal(size[1])
        return lambda: norm(x, r, w)
    if op == "swiglu":
        g, u = normal(*size), normal(*size)
        return lambda: gated(g, u)
    if op == "adamw":
        p = torch.randn(size[0], device="cuda", requires_grad=True)
        p.grad = torch.randn_like(p)
        return torch.optim.AdamW([p], fused=True).step
    return None
