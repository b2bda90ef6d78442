"""Broken kernels: each must be caught by the tests on the host emulation.

    mutants.py BUILD [part of a kernel's or a mutation's name]

A mutation replaces one text of one kernel; the kernel is compiled again in the
builds (plain, then race), linked with the objects of the others, and run on
the cases that its operation has.
"""

import concurrent.futures
import os
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
    ("rms_norm", "rms_norm", "the norm of x instead of the sum", [("return residual.data ? sum.row(row) : from;", "return from;")]),
    ("rms_norm", "rms_norm", "rows without gaps", [("return data + i * pitch;", "return data + i * cols;")]),
    ("rms_norm", "rms_norm", "rows within 32 bits", [("return data + i * pitch;", "return data + int32_t(i * pitch);")]),
    ("embedding", "embedding", "rows within 32 bits", [("return data + i * pitch;", "return data + uint32_t(i * pitch);")]),
    ("rope", "rope", "sine of the wrong sign", [("b * c + a * s", "b * c - a * s")]),
    ("rope", "rope", "the inverse turns the same way", [("a->inverse ? -1.0f : 1.0f", "1.0f")]),
    ("swiglu", "swiglu", "gradient of the gate without its slope", [("* (1.0f + x * (1.0f - s))", "")]),
    ("optimizer", "adamw", "no bias correction of the second moment", [("shared[2] = float(1.0 / sqrt(1.0 - pow(double(h.beta2), count)));", "shared[2] = 1.0f;")]),
    ("optimizer", "adamw", "no barrier before the step is read", [("pow(double(h.beta2), count)));\n    }\n    __syncthreads();", "pow(double(h.beta2), count)));\n    }")]),
    ("optimizer", "adamw8", "a code too low", [("while (code < 255 && 0.5f * (map[code] + map[code + 1]) < x) ++code;", "")]),
    ("optimizer", "adamw8", "no barrier of the largest", [("    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;\n    __syncthreads();\n    float most", "    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;\n    float most")]),
    ("nf4", "nf4_dequantize", "nibbles swapped", [("store(&values.at[2 * i], __fmul_rn(code[byte >> 4]", "store(&values.at[2 * i], __fmul_rn(code[byte & 15]")]),
    ("nf4", "nf4_dequantize nested", "no offset", [("nested[block / kNested]), first)", "nested[block / kNested]), 0.0f)")]),
    ("nf4", "nf4_dequantize", "no barrier behind the tables", [("    __syncthreads();\n    const float offset", "    const float offset")]),
    ("gemm_mma", "linear_backward d", "transposed operand: the two B registers swapped",
     [("lane / 8 % 2 * 8 + lane % 8;\n                    ldmatrix_x4_trans(fb[j], b_tile + swizzle<false>(row, (warp_col + j * 16) / 8 + lane / 16)",
       "lane / 16 * 8 + lane % 8;\n                    ldmatrix_x4_trans(fb[j], b_tile + swizzle<false>(row, (warp_col + j * 16) / 8 + lane / 8 % 2)")]),
    ("gemm_mma", "linear_backward d", "no barrier in the main loop", [("        __syncthreads();  // tile has landed", "        // tile has landed")]),
    ("gemm_mma", "linear_backward d", "no wait for copies", [("        cp_async_wait<kStages - 2>();\n", "")]),
    ("gemm_mma", "linear", "the last K tile is skipped", [("tile < tiles; ++tile) {\n        cp", "tile < tiles - 1; ++tile) {\n        cp")]),
    ("gemm_mma", "linear bf16", "rows without gaps", [("s.data + row * s.pitch + col", "s.data + row * s.cols + col")]),
    ("gemm_mma", "linear bf16", "rows within 32 bits", [("s.data + row * s.pitch + col", "s.data + int32_t(row * s.pitch) + col")]),
    ("gemm_mma", "linear", "shared memory one element short", [("dim3(kThreads), kSharedBytes, c->stream", "dim3(kThreads), kSharedBytes - 2, c->stream")]),
    ("gemm_wgmma", "linear bf16", "wrong phase when waiting for full", [("mbarrier_wait(full + slot, round & 1)", "mbarrier_wait(full + slot, (round & 1) ^ 1)")]),
    ("gemm_wgmma", "linear bf16", "no final wgmma wait", [("    wgmma_wait<0>();\n", "")]),
    ("gemm_wgmma", "linear bf16", "low-rank tail multiplies W", [("if (!Across) tma_load_2d(b_tile, tail ? &b : &w,", "if (!Across) tma_load_2d(b_tile, &w,")]),
    ("gemm_wgmma", "linear_backward dx bf16", "the next rows of the contraction at the wrong stride", [("step * (Across ? 128 : 2)", "step * (Across ? 64 : 2)")]),
    ("gemm_wgmma", "linear_backward dx bf16", "boxes of columns in the wrong place", [("wgmma_descriptor_across(b_tile, sizeof(bf16) * kBox * kTileK)", "wgmma_descriptor_across(b_tile, sizeof(bf16) * kBox * kBox / 2)")]),
    ("linear", "linear f32", "the scale is forgotten", [("        g.alpha = p.scale;\n        into(&g, p.xa, false);", "        into(&g, p.xa, false);")]),
    ("linear", "linear f32 dense 33", "the gate is forgotten", [("        gate_rows(c, p.xa, p.gate);\n", "")]),
    ("linear", "linear_backward dx f32 dense 33", "the gate of the gradient is forgotten", [("            gate_rows(c, ds, p.gate);\n", "")]),
    ("slots", "linear recorded", "a slot is filled while it is read", [("    if (!c->slots[i].used) return nullptr;\n", "    return nullptr;\n")]),
    ("slots", "linear recorded", "a product does not wait for its weights",
     [("return check(cudaStreamWaitEvent(c->stream, c->slots[slot.number].filled, 0), \"wait for decoded weights\");", "return nullptr;")]),
    ("dropout", "dropout", "the mask of another site", [("{uint32_t(element / 4), site,", "{uint32_t(element / 4), site + 1,")]),
    ("dropout", "dropout f32", "gaps count as elements", [("mask.factor(row * from.cols + col)", "mask.factor(row * from.pitch + col)")]),
    ("dropout", "dropout's rest", "the rest is what was kept", [("mask(a->drop, a->rest != 0)", "mask(a->drop)")]),
    ("weight_norm", "weight_norm", "an adapter without its scale", [("scale * b.row(row0 + r)[k]", "b.row(row0 + r)[k]")]),
    ("weight_norm", "weight_norm nested nf4", "no offset", [("tables + 16, tables[272]", "tables + 16, 0.0f")]),
    ("weight_norm", "weight_norm nf4", "no barrier behind the tables", [("    __syncthreads();\n    const int64_t row0", "    const int64_t row0")]),
    ("magnitude", "magnitude", "a gate of nothing", [("(1.0f - g) + g * (m[col + i] / norm[col + i])", "g * (m[col + i] / norm[col + i])")]),
    ("magnitude", "magnitude_backward", "dm without the gate", [("* (gate ? gate[row] : 1.0f) / norm[col]", "/ norm[col]")]),
    ("optimizer", "adamw_bf16", "rounded to nearest", [("if (is_finite(now)) *p = ", "if (false) *p = ")]),
    ("optimizer", "adamw_bf16", "the bits of a neighbour", [("V == 1 ? int(i % 4) : k], s, h)", "V == 1 ? int((i + 1) % 4) : 3 - k], s, h)")]),
    ("nf4_quantize", "nf4_quantize", "ties upwards", [("n += mid[n] < x ? 1 : 0;", "n += mid[n] <= x ? 1 : 0;")]),
    ("nf4_quantize", "nf4_quantize", "the largest of four lanes", [("offset = kLanes / 2;", "offset = kLanes / 4;")]),
    ("nf4_quantize", "nf4_quantize", "no barrier behind the midpoints", [("    __syncthreads();\n    const int lane", "    const int lane")]),
    ("cross_entropy", "linear_cross_entropy smoothed", "smoothing leaves the gradient of the others", [(" : 0.0f) - even);", " : 0.0f));")]),
    ("cross_entropy", "linear_cross_entropy smoothed", "z-loss without its gradient", [("1.0f + 2.0f * z_loss * lse", "1.0f")]),
    ("attention_f32", "attention dim 96 f32", "sums are not rescaled", [("sum[r][i] *= shrink;", "sum[r][i] *= 1.0f;")]),
    ("attention_f32", "attention dim 96 f32", "tile overwritten while it is read",
     [("        __syncthreads();  // the tile before is no longer read\n        load_rows(k", "        load_rows(k")]),
    ("attention_mma", "attention causal, packed bf16", "causal mask off by one", [("key <= place)", "key < place)")]),
    ("attention_mma", "attention grouped, window, prefix, cap bf16", "window off by one", [("key > place - p.window)", "key >= place - p.window)")]),
    ("attention_mma", "attention dim 96 bf16", "sums are not rescaled", [("            sum[m][2 * half] *= shrink;\n", "")]),
    ("attention_mma", "attention fused", "rows without gaps", [("return data + i * pitch;", "return data + i * cols;")]),
    ("attention_mma", "attention dim 96 bf16", "rows within 32 bits", [("return data + i * pitch;", "return data + int32_t(i * pitch);")]),
    ("attention_mma", "attention dim 96 bf16", "weights as the wrong fragment",
     [("f[1] = pack_bf16x2(left[2], left[3]);\n    f[2] = pack_bf16x2(right[0], right[1]);",
       "f[2] = pack_bf16x2(left[2], left[3]);\n    f[1] = pack_bf16x2(right[0], right[1]);")]),
    ("attention_mma", "attention dim 96 bf16", "a tile of keys is skipped", [("at_ += Keys;", "at_ += 2 * Keys;")]),
    ("attention_mma", "attention dim 96 bf16", "no wait for the keys",
     [("        cp_async_wait<0>();\n        __syncthreads();  // K has landed", "        __syncthreads();  // K has landed")]),
    ("attention_mma", "attention dim 96 bf16", "no barrier before the values are read",
     [("        __syncthreads();  // V has landed for all threads; K is no longer read\n", "")]),
    ("attention_mma", "attention dim 96 bf16", "shared memory one tile short", [("(kQueries + 2 * Keys);", "(kQueries + Keys);")]),
    ("attention_wgmma", "attention dim 128, three blocks", "a tile is handed back before all lanes saw it",
     [("        __syncwarp();  // all lanes are past the wait, also those of a group that looks away\n", "")]),
    ("attention_wgmma", "attention dim 128, three blocks", "values at the wrong stride", [("weights[step], v + step * 128)", "weights[step], v + step * 64)")]),
    ("attention_wgmma", "attention dim 128, three blocks", "the first half of a query twice", [("(box * kQueries + group * 64) * kBox", "group * 64 * kBox")]),
    ("attention_wgmma", "attention dim 128, three blocks", "scores before they are there",
     [("            wgmma_commit();\n            wgmma_wait<0>();\n        }\n        __syncwarp();  // all", "            wgmma_commit();\n        }\n        __syncwarp();  // all")]),
    ("attention_wgmma", "attention dim 128, three blocks", "a tile that one group does not use stays", [("for (int i = 0; walk.next(&tile); i += 2) {", "for (int i = 0; walk.next(&tile); i += 2) {\n        if (first >= tile.s.last) continue;")]),
    ("attention_cudnn", "attention causal, packed bf16", "causal mask off by one", [("kNotLess, row, &key", "kGreater, row, &key")]),
    ("attention_cudnn", "attention dim 128, window", "no window", [("if (s.window > 0) {", "if (false) {")]),
    ("attention_cudnn", "attention dim 128, window", "window off by one", [("window = float(p.window)", "window = float(p.window - 1)")]),
    ("attention_cudnn", "attention both ways, one token bf16", "keys behind the end", [("    z = g.pointwise(kSelect, z, &nothing, &inside, kFloat, kFloat);\n", "")]),
    ("attention_cudnn", "attention dim 128, window", "keys at the places of queries", [("{p.q.pitch, p.k.pitch,", "{p.q.pitch, p.q.pitch,")]),
    ("attention_cudnn", "attention causal, packed bf16", "the graph goes before its plan", [("describe(p.graph, s);", "Graph graph;\n        describe(graph, s);"), ("p.graph.plan(", "graph.plan(")]),
    ("attention", "attention_backward", "delta of half a row", [("d < dim; d += 32", "d < dim; d += 64")]),
    ("attention_mma_backward", "attention_backward dim 96 bf16", "no delta", [("(dp[n][e] - at.delta)", "dp[n][e]")]),
    ("attention_mma_backward", "attention_backward window, three tiles bf16", "window cut too early",
     [("last - 1 + p_.window", "last - 4 + p_.window")]),
    ("attention_mma_backward", "attention_backward dim 256 bf16", "second half of the columns is the first", [("col0 = blockIdx.z * Columns", "col0 = 0 * Columns")]),
    ("attention_mma_backward", "attention_backward grouped, window, prefix, cap bf16", "tiles overwritten while they are read",
     [("        add_weighted<D>(sum_k, dp, q_tile, col0);\n        more = walk.next(&tile);\n        __syncthreads();",
       "        add_weighted<D>(sum_k, dp, q_tile, col0);\n        more = walk.next(&tile);")]),
    ("attention_decode", "attention long cache bf16", "only the first warp counts",
     [("for (int w = 0; w < kWarps; ++w)\n            value", "for (int w = 0; w < 1; ++w)\n            value")]),
    ("attention_decode", "attention long cache bf16", "sums over tiles that are read",
     [("    __syncthreads();  // the sums of the warps take the place of the tiles\n", "")]),
    ("attention_decode", "attention long cache bf16", "the last tile of a part is skipped",
     [("tile < last_tile; tile += kWarps", "tile < last_tile - 1; tile += kWarps")]),
    ("lora", "linear bf16 dense 77", "no wait for copies",
     [("        cp_async_wait<kStages - 2>();\n        __syncthreads();  // the step", "        __syncthreads();  // the step")]),
    ("lora", "linear bf16 dense 40", "the last step is skipped", [("step < steps; ++step) {\n        cp", "step < steps - 1; ++step) {\n        cp")]),
    ("lora", "linear bf16 dense 77", "the scale is forgotten", [("            sum *= slice.gate ? slice.scale * slice.gate[row] : slice.scale;\n", "")]),
    ("lora", "linear bf16 dense 70", "the gate is forgotten", [("slice.gate ? slice.scale * slice.gate[row] : slice.scale", "slice.scale")]),
    ("lora", "linear_backward dB bf16 dense 77", "transposed fragment swapped",
     [("(row + lane / 16 * 8 + lane % 8) * (D + 8) + col + lane / 8 % 2 * 8", "(row + lane / 8 % 2 * 8 + lane % 8) * (D + 8) + col + lane / 16 * 8")]),
    ("lora", "linear_backward dB bf16 dense 40", "a tile is read before it is there", [("        __syncthreads();\n        float db[4][N][4] = {};", "        float db[4][N][4] = {};")]),
    ("lora", "linear_backward dA bf16 dense 40", "lanes do not wait for each other", [("            __syncwarp();  // the rows have landed", "            // the rows have landed")]),
    ("nf4_rows", "linear bf16 nested nf4 3x", "nibbles swapped", [("(i % 2 ? 0 : 4)", "(i % 2 ? 4 : 0)")]),
    ("nf4_rows", "linear bf16 nested nf4 3x", "every other pack", [("col += 32 * kPack", "col += 64 * kPack")]),
    ("nf4_rows", "linear bf16 nested nf4 3x", "no barrier behind the tables", [("    __syncthreads();\n    const float offset", "    const float offset")]),
    ("activation", "activation_backward gelu_tanh", "slope without the cube", [("(1.0f + 0.134145f * x * x)", "1.0f")]),
    ("layer_norm", "layer_norm_backward", "mean of the gradient forgotten", [("- total - (v - mean)", "- (v - mean)")]),
    ("layer_norm", "layer_norm", "variance of the values", [("squares += (v - mean) * (v - mean);", "squares += v * v;")]),
    ("pool", "pool", "last of a row too many", [("kind == GRAFT_POOL_LAST ? last - 1 : first;\n            for", "kind == GRAFT_POOL_LAST ? last - 2 : first;\n            for")]),
    ("classification_loss", "classification_loss", "the label is forgotten", [("(c == label ? sum : 0.0)", "0.0")]),
    ("classification_loss", "classification_loss", "no barrier before the parts are added",
     [("    __syncthreads();\n    if (threadIdx.x > 1) return;", "    if (threadIdx.x > 1) return;")]),
    ("cross_entropy", "linear_cross_entropy dx", "gradient overwrites logits that others read",
     [("        }\n        __syncthreads();\n        if (i < vocab) store(dz + i, d);", "        }\n        if (i < vocab) store(dz + i, d);")]),
    ("cross_entropy", "linear_cross_entropy dx", "filler rows overwrite", [("if (weights[i] != 0.0f && row >= 0", "if (row >= 0")]),
    ("sample", "sample", "penalty of the wrong sign", [("v > 0.0f ? v / o.penalty : v * o.penalty", "v > 0.0f ? v * o.penalty : v / o.penalty")]),
]


def environment(kernel, build):
    """Kernels that are asked for."""
    if kernel in ("attention_wgmma", "attention_cudnn"):
        return os.environ | {"GRAFT_CUDA_ATTENTION": kernel.removeprefix("attention_"), "LD_LIBRARY_PATH": str(build / "cudnn")}
    if kernel == "gemm_mma":
        return os.environ | {"GRAFT_CUDA_GEMM": "own"}
    return None


def mutate(kernel, what, edits, directory):
    """A copy of csrc in which the edits are made, each in the one place that it matches: the kernel's file or a header."""
    place = directory / "csrc/cuda"
    place.mkdir(parents=True, exist_ok=True)
    for part in ("core", "include"):
        link = directory / "csrc" / part
        if not link.is_symlink():
            link.symlink_to(ROOT / "csrc" / part)
    paths = [ROOT / f"csrc/cuda/{kernel}.cu", *(ROOT / "csrc/cuda").glob("*.cuh")]
    texts = {path.name: path.read_text() for path in paths}
    for old, new in edits:
        found = [name for name, text in texts.items() for _ in range(text.count(old))]
        own = [name for name in found if name == f"{kernel}.cu"] or found
        if len(own) != 1:
            sys.exit(f"{kernel}, {what}: {len(own)} places match {old!r}")
        texts[own[0]] = texts[own[0]].replace(old, new)
    for name, text in texts.items():
        (place / name).write_text(text)


def compile_and_run(build, kind, kernel, cases, directory):
    source, program = directory / f"csrc/cuda/{kernel}.cu", directory / f"test_{kind}"
    obj = directory / f"{kernel}_{kind}.o"
    subprocess.run(["g++", "-std=c++17", "-w", "-fPIC", f"-I{ROOT}/cuda/shim", *FLAGS[kind], "-x", "c++", "-c", source, "-o", obj], check=True)
    shim = "asan" if kind == "asan" else "plain"
    objects = [o for o in (build / kind).glob("*.o") if o.stem != kernel] + list((build / f"shim_{shim}").glob("*.o"))
    if kind == "race":
        objects.append(build / "shim_race/racecheck.o")
    subprocess.run(["g++", *LINK[kind], obj, *objects, "-o", program], check=True)
    try:
        run = subprocess.run([program, cases], capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(kernel, build))
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


def judge(build, number, kernel, cases, what, edits):
    """The cheapest build that catches it, and how; "" if none does."""
    directory = build / f"mutants/{number}"
    mutate(kernel, what, edits, directory)
    for kind in FLAGS:
        if verdict := compile_and_run(build, kind, kernel, cases, directory):
            return f"{kind}: {verdict}"
    return ""


def main():
    build, wanted = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    selected = [m for m in MUTANTS if wanted in m[0] + " " + m[2]]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        verdicts = [pool.submit(judge, build, i, *m) for i, m in enumerate(selected)]
        missed = 0
        for (kernel, _, what, _), verdict in zip(selected, verdicts):
            missed += not verdict.result()
            print(f"{kernel}: {what}: {verdict.result() or 'MISSED'}", flush=True)
    print(f"{len(selected)} mutations, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
