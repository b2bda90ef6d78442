"""Turns what bench prints into one JSON object, with ratios.

    bench | record.py GPU DRIVER CLOCKS COMMIT > results/DATE-GPU.json

Each row gets what the same process allows to compare: the bare cuBLASLt product of
the same shape, and the same operation in PyTorch where that is installed. Where it
is not, or cannot use the GPU, no_torch says why and the rows are what bench printed.
"""

import csv
import json
import sys

try:
    import torch

    import torch_bench

    torch.empty(1, device="cuda")
except Exception as e:  # not there; or without CUDA, with another driver, out of memory
    torch, no_torch = None, f"{type(e).__name__}: {e}"
else:
    no_torch = None


def bare(name, rows):
    """The bare cuBLASLt product of the shape of a row, in microseconds: that of y, or that of dx."""
    op, _, shape = name.partition("/")
    if not op.startswith(("gemm_", "lora_linear")):
        return None
    library = "gemm_cublaslt_dx/" if op.endswith(("_dx", "_backward")) else "gemm_cublaslt/"
    return next((float(r["median_us"]) for r in rows if r["name"] == library + shape.partition("+")[0]), None)


def lora(results, rows):
    """Forward and backward of an adapted layer over two bare products, and PEFT's unfused form over it: the figures
    that LoRA kernels are known by."""
    found = {}
    for r in results:
        op, _, shape = r["name"].partition("/")
        if op.startswith("lora_linear"):
            found.setdefault(shape, []).append(r)
    table = {}
    for shape, both in found.items():
        products = [bare(r["name"], rows) for r in both]
        ours = sum(r["median_us"] for r in both)
        if len(both) == 2:
            table[shape] = {
                "over_two_products": ours / sum(products) if all(products) else None,
                "peft_over_graft": sum(r["torch_us"] for r in both) / ours if all("torch_us" in r for r in both) else None,
            }
    return table


def main():
    gpu, driver, clocks, commit = sys.argv[1:5]
    lines = sys.stdin.read().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    results = []
    for row in rows:
        result = {key: value if key in ("name", "unit") else float(value) if value else None for key, value in row.items()}
        if us := bare(row["name"], rows):
            result["over_cublaslt"] = result["median_us"] / us
        try:
            for peer, work in (torch_bench.peers(row["name"]) if torch else {}).items():
                result[peer + "_us"] = torch_bench.measure(work)
                result[peer + "_over_graft"] = result[peer + "_us"] / result["median_us"]
        except Exception as e:  # another release of a peer: said, not hidden
            result["peers_error"] = str(e)
        results.append(result)
    json.dump({
        "gpu": gpu, "driver": driver, "clocks": clocks, "commit": commit,
        "torch": torch.__version__ if torch else None,
        "no_torch": no_torch,
        "limits": [line[2:] for line in lines if line.startswith("# ")],
        "rows": results,
        "lora": lora(results, rows),
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
