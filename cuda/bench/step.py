"""Whole training steps of graft beside transformers + PEFT, on one machine in one run.

    step.py [--device cuda:0] [--methods lora,qlora,full] [--out FILE.json]

Prints a table and writes JSON as record.py does. The environment says what is timed:
MODEL (llama-3.1-8b) for lora and qlora, FULL_MODEL (llama-3.2-1b) for full, BATCH, SEQ,
STEPS; GRAFT is the program, PYTHON the interpreter that has torch and peft. MODEL=tiny
takes seconds on any device. What is not installed is said, and has no ratio.

The share of the bound is that of the time which the FLOPs of the model take at the rate
of cuBLASLt's 8192^3 product, and the update of what is trained at that of a copy, both
measured here by bench: parameters, gradients and moments, read and written once.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent  # cuda/bench, or where pack.sh put it
ROOT = HERE.parent.parent
MODEL = os.environ.get("MODEL", "llama-3.1-8b")
FULL = os.environ.get("FULL_MODEL", "tiny" if MODEL == "tiny" else "llama-3.2-1b")
BATCH, STEPS = os.environ.get("BATCH", "1"), os.environ.get("STEPS", "5")
SEQ = os.environ.get("SEQ", "64" if MODEL == "tiny" else "4096")
GOALS = """goals: lora of llama-3.1-8b on an H200 16000 tokens/s; 1.5 times the tokens/s at 0.7 of the memory of PEFT; qlora 0.95
of lora; full 0.85 of its bound; busy 0.97 at least, and the host less than 1 ms a step"""


def first(*paths):
    """The first that is there: beside this file in a pack, in the tree otherwise."""
    return next((p for p in paths if p and pathlib.Path(p).exists()), paths[-1])


GRAFT = os.environ.get("GRAFT") or first(HERE / "graft", ROOT / "bin/graft")
PEER = first(HERE / "peer.py", ROOT / "tests/bench/peer.py")
BENCH = first(HERE / "bench", ROOT / "build/cuda/gpu/bench")


def output(*command):
    """Stdout, and why there is none."""
    try:
        run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    except OSError as e:
        return "", str(e)
    said = run.stderr.strip().splitlines()
    return (run.stdout, "") if run.returncode == 0 else ("", said[-1] if said else f"exit code {run.returncode}")


def measured(*command):
    text, why = output(*command)
    return json.loads(text) if text else {"missing": why}


@functools.cache
def limits():
    """What bench measures of the card: bytes/s and FLOP/s, and its own words."""
    text, _ = output(BENCH, "grad_norm")
    found = re.search(r"# (copy (\d+) GB/s, .* product (\d+) TFLOP/s)", text)
    return (1e9 * float(found[2]), 1e12 * float(found[3]), found[1]) if found else (0, 0, "")


def row(method, model, device):
    ours = measured(GRAFT, "bench", "step", "--model", model, "--method", method, "--device", device, "--batch", BATCH, "--seq", SEQ, "--steps", STEPS, "--json")
    r = {"name": f"{method}/{model}/{BATCH}x{SEQ}", "method": method, "notes": [], "graft": ours}
    emulated = "emulation" in ours.get("device", "")
    where = "cuda" if device.startswith("cuda") and not emulated else "cpu"
    if emulated:
        r["notes"].append("graft ran on the host emulation, the others on the CPU: the ratios say nothing")
    python = os.environ.get("PYTHON", sys.executable)
    for peer, more in (("peft", []), ("liger", ["--liger"])):
        r[peer] = measured(python, PEER, "--device", where, "--model", model, "--method", method, "--batch", BATCH, "--seq", SEQ, "--steps", STEPS, "--json", *more)
    if "missing" in ours:
        return r
    used = sum(ours["used_bytes"].values())
    for peer in ("peft", "liger"):
        if "missing" not in r[peer]:
            r[f"tokens_over_{peer}"] = ours["tokens_per_second"] / r[peer]["tokens_per_second"]
            r[f"memory_over_{peer}"] = used / r[peer]["peak_bytes"]
            if r[peer]["trainable"] != ours["trainable"]:
                r["notes"].append(f"{ours['trainable']} values are trained here, {r[peer]['trainable']} by {peer}")
    return r


def share_of_bound(ours, copy, product):
    bound = ours["flops_model"] / product + 2 * ours["used_bytes"]["trainable"] / copy
    return bound * ours["tokens_per_second"] / (int(BATCH) * int(SEQ))


def table(rows):
    """Lines of text. A figure that was not measured is a dash, and a sentence below says why."""
    lines = [f"{'step':28}{'graft':>21}{'PEFT':>21}{'Liger':>21}{'times PEFT':>18}{'times Liger':>18}{'bound':>7}{'MFU':>7}{'busy':>7}{'host':>9}"]
    said = []
    for r in rows:
        cells = f"{r['name']:28}"
        for who, size in (("graft", lambda x: sum(x["used_bytes"].values())), ("peft", lambda x: x["peak_bytes"]), ("liger", lambda x: x["peak_bytes"])):
            x = r[who]
            cells += f"{'-':>21}" if "missing" in x else f"{x['tokens_per_second']:9.0f} t/s {size(x) / 2**20:6.0f}MiB"
            if "missing" in x:
                said.append(f"{r['name']}: no figure of {who}: {x['missing']}")
        for peer in ("peft", "liger"):
            ratio = f"{r[f'tokens_over_{peer}']:.2f} at {r[f'memory_over_{peer}']:.2f}" if f"tokens_over_{peer}" in r else "-"
            cells += f"{ratio:>18}"
        cells += f"{r['share_of_bound']:7.2f}" if "share_of_bound" in r else f"{'-':>7}"
        ours = r["graft"]
        cells += f"{ours['mfu']:7.2f}" if ours.get("mfu") else f"{'-':>7}"
        cells += f"{ours['busy_at_most']:7.3f}" if "busy_at_most" in ours else f"{'-':>7}"
        host = 1e3 * sum(ours["seconds_by_part"][p] for p in ("upload", "launch", "host")) if ours.get("busy_clock") == "device" else None
        cells += f"{host:6.2f} ms" if host is not None else f"{'-':>9}"  # on a CPU a launch is the work
        lines.append(cells)
        said += [f"{r['name']}: {note}" for note in r["notes"]]
    return lines + said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--methods", default="lora,qlora,full")
    parser.add_argument("--out", type=pathlib.Path)
    a = parser.parse_args()
    smi = {q: output("nvidia-smi", f"--query-gpu={q}", "--format=csv,noheader")[0].partition("\n")[0] or None for q in ("name", "driver_version", "clocks.sm,clocks.mem")}
    commit = (HERE / "commit").read_text() if (HERE / "commit").exists() else output("git", "-C", ROOT, "rev-parse", "--short", "HEAD")[0]
    rows, words, ratio = [], "", None
    for method in a.methods.split(","):
        rows.append(row(method, FULL if method == "full" else MODEL, a.device))
        ours = rows[-1]["graft"]
        if a.device.startswith("cuda") and "emulation" not in ours.get("device", "emulation"):
            copy, product, words = limits()
            if product:
                rows[-1]["share_of_bound"] = share_of_bound(ours, copy, product)
            else:
                rows[-1]["notes"].append("no share of the bound: bench measured no product, as where cuBLASLt is not found")
        speed = {r["method"]: r["graft"].get("tokens_per_second") for r in rows}
        ratio = speed["qlora"] / speed["lora"] if speed.get("qlora") and speed.get("lora") else None
        if a.out:  # as they come: a run may be cut short
            a.out.write_text(json.dumps({
                "gpu": smi["name"], "driver": smi["driver_version"], "clocks": smi["clocks.sm,clocks.mem"], "commit": commit.strip() or "unknown",
                "torch": next((r["peft"]["torch"] for r in rows if "torch" in r["peft"]), None), "date": datetime.date.today().isoformat(),
                "limits": [words] if words else [], "rows": rows, "qlora_over_lora": ratio,
            }, indent=1) + "\n")
    print("\n".join(table(rows)))
    print(f"qlora over lora: {ratio:.2f}" if ratio else "qlora over lora: not measured")
    print(GOALS)
    sys.exit(any("missing" in r["graft"] for r in rows))


if __name__ == "__main__":
    main()
