"""Broken kernels: each must be caught by the tests on the host emulation.

    mutants.py BUILD [part of a kernel's or a mutation's name]

A mutation replaces one text of one kernel; the kernel is compiled again in the
builds (plain, then race), linked with the objects of the others, and run on
the cases that its operation has.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = {"plain": ["-O1"], "asan": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
         "race": ["-O1", "-fsanitize=thread"]}
LINK = {"plain": [], "asan": ["-fsanitize=address,undefined"], "race": []}
TIMEOUT_S = 300

# kernel, part of the names of its cases, what, [(old, new)]
MUTANTS = [
    ("embedding", "embedding_backward", "a later place of an id adds too", [("if (__syncthreads_or(earlier)) return;", "__syncthreads_or(earlier);")]),
    ("embedding", "embedding_backward", "no barrier before the list is read",
     [("found[before + __popc(votes & ((1u << lane) - 1))] = int(threadIdx.x);\n        __syncthreads();",
       "found[before + __popc(votes & ((1u << lane) - 1))] = int(threadIdx.x);")]),
    ("rms_norm", "rms_norm", "the norm of x instead of the sum", [("if (residual.data) from = sum.row(row);", "")]),
    ("rope", "rope", "sine of the wrong sign", [("b * c + a * s", "b * c - a * s")]),
    ("swiglu", "swiglu", "gradient of the gate without its slope", [("* (1.0f + x * (1.0f - s))", "")]),
    ("optimizer", "adamw", "no bias correction of the second moment", [("step[2] = float(1.0 / sqrt(1.0 - pow(double(h.beta2), count)));", "step[2] = 1.0f;")]),
    ("optimizer", "adamw", "no barrier before the step is read", [("    __syncthreads();\n    const float keep", "    const float keep")]),
    ("nf4", "nf4_dequantize", "nibbles swapped", [("store(&values.at[2 * i], __fmul_rn(code[byte >> 4]", "store(&values.at[2 * i], __fmul_rn(code[byte & 15]")]),
    ("nf4", "nf4_dequantize nested", "no offset", [("s.nested[block / kNested]), offset)", "s.nested[block / kNested]), 0.0f)")]),
    ("nf4", "nf4_dequantize", "no barrier behind the tables", [("    __syncthreads();\n    const float offset", "    const float offset")]),
    ("gemm_mma", "linear_backward d", "transposed operand: the two B registers swapped",
     [("lane / 8 % 2 * 8 + lane % 8;\n                    ldmatrix_x4_trans(fb[j], b_tile + swizzle<false>(row, (warp_col + j * 16) / 8 + lane / 16)",
       "lane / 16 * 8 + lane % 8;\n                    ldmatrix_x4_trans(fb[j], b_tile + swizzle<false>(row, (warp_col + j * 16) / 8 + lane / 8 % 2)")]),
    ("gemm_mma", "linear_backward d", "no barrier in the main loop", [("        __syncthreads();  // tile has landed", "        // tile has landed")]),
    ("gemm_mma", "linear_backward d", "no wait for copies", [("        cp_async_wait<kStages - 2>();\n", "")]),
    ("gemm_mma", "linear", "the last K tile is skipped", [("tile < tiles; ++tile) {\n        cp", "tile < tiles - 1; ++tile) {\n        cp")]),
    ("gemm_mma", "linear", "shared memory one element short", [("dim3(kThreads), kSharedBytes, c->stream", "dim3(kThreads), kSharedBytes - 2, c->stream")]),
    ("gemm_wgmma", "linear bf16", "wrong phase when waiting for full", [("mbarrier_wait(full + slot, round & 1)", "mbarrier_wait(full + slot, (round & 1) ^ 1)")]),
    ("gemm_wgmma", "linear bf16", "no final wgmma wait", [("    wgmma_wait<0>();\n", "")]),
    ("gemm_wgmma", "linear bf16", "low-rank tail multiplies W", [("tail ? &b : &w", "&w")]),
    ("linear", "linear", "the scale is forgotten", [("        g.alpha = p.scale;\n        into(&g, p.xa, false);", "        into(&g, p.xa, false);")]),
    ("linear", "dropout", "the mask of another site", [("{uint32_t(element / 4), site,", "{uint32_t(element / 4), site + 1,")]),
    ("attention", "attention", "causal mask off by one", [("(!p.causal || key <= place)", "(!p.causal || key < place)")]),
    ("attention", "attention", "window off by one", [("key > place - p.window)", "key >= place - p.window)")]),
    ("attention", "attention", "sums are not rescaled", [("sum[r][i] *= shrink;", "sum[r][i] *= 1.0f;")]),
    ("attention", "attention", "tile overwritten while it is read", [("            __syncthreads();  // the tile before is no longer read\n            load_rows(k", "            load_rows(k")]),
    ("attention", "attention_backward", "no delta", [("(dp - delta[at])", "dp")]),
    ("attention", "attention_backward", "window cut too early", [("last - 1 + p.window", "last - 2 + p.window")]),
    ("cross_entropy", "linear_cross_entropy dx", "gradient overwrites logits that others read",
     [("        }\n        __syncthreads();\n        if (i < vocab) store(dz + i, d);", "        }\n        if (i < vocab) store(dz + i, d);")]),
    ("cross_entropy", "linear_cross_entropy dx", "filler rows overwrite", [("if (weights[i] != 0.0f && row >= 0", "if (row >= 0")]),
    ("sample", "sample", "penalty of the wrong sign", [("v > 0.0f ? v / o.penalty : v * o.penalty", "v > 0.0f ? v * o.penalty : v / o.penalty")]),
]


def compile_and_run(build, kind, kernel, cases, text, directory):
    source, program = directory / f"{kernel}.cu", directory / f"test_{kind}"
    source.write_text(text)
    obj = directory / f"{kernel}_{kind}.o"
    subprocess.run(["g++", "-std=c++17", "-w", "-fPIC", f"-I{ROOT}/cuda/shim", f"-I{ROOT}/csrc/cuda", *FLAGS[kind], "-x", "c++", "-c",
                    source, "-o", obj], check=True)
    shim = "asan" if kind == "asan" else "plain"
    objects = [o for o in (build / kind).glob("*.o") if o.stem != kernel] + list((build / f"shim_{shim}").glob("*.o"))
    if kind == "race":
        objects.append(build / "shim_race/racecheck.o")
    subprocess.run(["g++", *LINK[kind], obj, *objects, "-o", program], check=True)
    try:
        run = subprocess.run([program, cases], capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "hangs"
    if run.returncode == 0:
        return ""
    if run.returncode == 13:
        sys.exit(f"{kernel}: no case is named {cases}")
    if run.returncode == 77:
        return "sanitizer"
    found = re.search(r"wrong (\d+), disagreeing (\d+), failed (\d+) (.*)", run.stdout)
    return f"wrong {found[1]}, disagreeing {found[2]}, failed {found[3]} {found[4][:80]}" if found else f"crash {run.returncode}"


def main():
    build, wanted = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    missed = 0
    selected = [m for m in MUTANTS if wanted in m[0] + " " + m[2]]
    for number, (kernel, cases, what, edits) in enumerate(selected):
        text = (ROOT / f"csrc/cuda/{kernel}.cu").read_text()
        for old, new in edits:
            if text.count(old) != 1:
                sys.exit(f"{kernel}, {what}: {text.count(old)} places match {old!r}")
            text = text.replace(old, new)
        text = text.replace('#include "../', f'#include "{ROOT}/csrc/')
        directory = build / f"mutants/{number}"
        directory.mkdir(parents=True, exist_ok=True)
        verdict = ""
        for kind in FLAGS:  # the cheapest build that catches it
            verdict = compile_and_run(build, kind, kernel, cases, text, directory)
            if verdict:
                verdict = f"{kind}: {verdict}"
                break
        missed += not verdict
        print(f"{kernel}: {what}: {verdict or 'MISSED'}", flush=True)
    print(f"{len(selected)} mutations, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
