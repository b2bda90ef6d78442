"""Turns what bench prints into one JSON object, with ratios.

    bench | record.py GPU DRIVER CLOCKS COMMIT > results/DATE-GPU.json

Each row gets what the same process allows to compare: the bare cuBLASLt product of
the same shape, and the same operation in PyTorch where that is installed.
"""

import csv
import json
import sys

try:
    import torch

    import torch_bench
except ImportError:
    torch = None


def bare(name, rows):
    """The bare cuBLASLt product of the shape of a row, in microseconds."""
    op, _, shape = name.partition("/")
    if not op.startswith(("gemm_", "lora_linear")):
        return None
    return next((float(r["median_us"]) for r in rows if r["name"] == "gemm_cublaslt/" + shape.partition("+")[0]), None)


def main():
    gpu, driver, clocks, commit = sys.argv[1:5]
    lines = sys.stdin.read().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    results = []
    for row in rows:
        result = {key: value if key in ("name", "unit") else float(value) for key, value in row.items()}
        if us := bare(row["name"], rows):
            result["over_cublaslt"] = result["median_us"] / us
        if torch and (work := torch_bench.work_for(row["name"])):
            result["torch_us"] = torch_bench.measure(work)
            result["torch_over_graft"] = result["torch_us"] / result["median_us"]
        results.append(result)
    both = lambda shape: sum(r["median_us"] for r in results if r["name"] in ("lora_linear/" + shape, "lora_linear_backward/" + shape))
    shapes = [r["name"].partition("/")[2] for r in results if r["name"].startswith("lora_linear/")]
    json.dump({
        "gpu": gpu, "driver": driver, "clocks": clocks, "commit": commit,
        "torch": torch.__version__ if torch else None,
        "limits": [line[2:] for line in lines if line.startswith("# ")],
        "rows": results,
        # Forward and backward of an adapted layer over two bare products: the figure that LoRA kernels are known by.
        "lora_over_two_products": {s: both(s) / (2 * us) for s in shapes if (us := bare("lora_linear/" + s, rows))},
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
