"""Compiles every kernel for every architecture and holds it to its budget.

    compile.py library OUTPUT   links the objects into libgraft_cuda.so
    compile.py programs FOLDER  and there beside it device_check, test_ops, test_ops_once and bench, which need a driver alone
    compile.py check            no spills; registers and shared memory against budget.txt
    compile.py update           writes budget.txt

Objects are cached under the hash of everything that goes into them, so that a
second run compiles nothing and a change of one kernel compiles that kernel.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "csrc/cuda").glob("*.cu"))
BUDGET = ROOT / "cuda/budget.txt"
CACHE = pathlib.Path(os.environ.get("CUDA_OBJECTS", ROOT / ".cache/cuda-objects"))
# -gencode, not -arch=sm_90a: the shorthand also embeds compute_90 PTX, which rejects wgmma. Machine code of
# architectures that share their PTX is made from one run of the front half of the compiler, a third of the time.
PTX = {"86": "80", "89": "80", "120": "100"}
ARCHS = os.environ.get("ARCHS", "80 86 89 90a 100 120").split()
# Kernels that may keep an array in local memory, and why.
ARRAYS = {"rope.cu": "the reduction of large angles in sinf and cosf"}
FLAGS = ["-std=c++17", "-O3", "-lineinfo", "-Xcompiler", "-fPIC,-fvisibility=hidden", "-Xptxas", "-v", "-Werror",
         "all-warnings"]
GENCODE = [f for a in ARCHS for f in ("-gencode", f"arch=compute_{PTX.get(a, a)},code=sm_{a}")]


def nvcc():
    return subprocess.run([ROOT / "cuda/toolchain.sh"], check=True, capture_output=True, text=True).stdout.strip()


def included(path, seen):
    """The file and what it includes of ours, in a fixed order."""
    if path not in seen:
        seen.append(path)
        for name in re.findall(r'^#include "(.+)"', path.read_text(), re.M):
            if (header := (path.parent / name).resolve()).exists():
                included(header, seen)
    return seen


def compile_one(compiler, version, source):
    """The object and what ptxas said of it."""
    digest = hashlib.sha256(version.encode())
    for path in included(source, []):
        digest.update(path.read_bytes())
    digest.update(" ".join(FLAGS + GENCODE).encode())
    stem = CACHE / f"{source.stem}.{digest.hexdigest()[:16]}"
    output, log = stem.with_suffix(stem.suffix + ".o"), stem.with_suffix(stem.suffix + ".log")
    if not log.exists():
        run = subprocess.run([compiler, *FLAGS, *GENCODE, "-c", source, "-o", output], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"{source.name}:\n{run.stdout}{run.stderr}")
        for old in CACHE.glob(f"{source.stem}.*"):
            if not old.name.startswith(stem.name):
                old.unlink()
        log.write_text(run.stderr + run.stdout)
    return output, log.read_text()


def demangle(symbols):
    text = "\n".join(symbols)
    names = subprocess.run(["c++filt"], input=text, capture_output=True, text=True, check=True).stdout.split("\n")
    short = {}
    for symbol, name in zip(symbols, names):
        name = re.sub(r"graft::cuda::|\(anonymous namespace\)::|void ", "", name.replace("__nv_bfloat16", "bf16"))
        depth, cut = 0, len(name)  # drop the parameters: the first parenthesis outside <>
        for i, c in enumerate(name):
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                cut = i
                break
        short[symbol] = re.sub(r"\((?:int|bool)\)", "", name[:cut]).replace(" ", "")
    return short


def usage(logs):
    """{(file, arch, kernel): (registers, stack, spills, shared)}."""
    found, symbols = {}, set()
    for file, text in logs.items():
        kernel = arch = None
        stack = spills = 0
        for line in text.splitlines():
            if m := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
                kernel, arch = m.groups()
                symbols.add(kernel)
            elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                stack, spills = int(m[1]), int(m[2]) + int(m[3])
            elif (m := re.search(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?", line)) and kernel:
                found[file, arch, kernel] = (int(m[1]), stack, spills, int(m[2] or 0))
                kernel = None
    names = demangle(sorted(symbols))
    return {(f, a, names[k]): v for (f, a, k), v in found.items()}


def write(table):
    lines = ["# file arch kernel registers static-shared-bytes; no kernel spills; written by compile.py update"]
    lines += [" ".join(map(str, (*key, table[key][0], table[key][3]))) for key in sorted(table)]
    BUDGET.write_text("\n".join(lines) + "\n")


def compare(table):
    """What spills, is over budget, or has no line in it."""
    budget = {}
    for line in BUDGET.read_text().splitlines():
        if line and line[0] != "#":
            file, arch, kernel, *numbers = line.split()
            budget[file, arch, kernel] = tuple(map(int, numbers))
    budget = {k: v for k, v in budget.items() if k[1].removeprefix("sm_") in ARCHS}
    faults = []
    for key in sorted(table.keys() | budget.keys()):
        name = " ".join(key)
        if key not in table:
            faults.append(f"{name}: in budget.txt, but no longer there")
            continue
        registers, stack, spills, shared = table[key]
        if spills or (stack and key[0] not in ARRAYS):
            faults.append(f"{name}: {spills} bytes spilled, {stack} bytes in local memory; none may be")
        if key not in budget:
            faults.append(f"{name}: no line in budget.txt; compile.py update writes it")
            continue
        for what, now, allowed in (("registers", registers, budget[key][0]), ("bytes of shared memory", shared, budget[key][1])):
            if now > allowed:
                faults.append(f"{name}: {now} {what}, the budget is {allowed}")
    return faults


def link(compiler, objects, output):
    """libgraft_cuda.so, and the objects that it is made of."""
    core = []
    for name in ("status", "check"):
        core.append(CACHE / f"core_{name}.o")
        subprocess.run(["g++", "-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-c", ROOT / f"csrc/core/{name}.cc", "-o", core[-1]], check=True)
    subprocess.run([*linker(compiler), "-shared", "-o", output, *objects, *core, "-Xlinker", "--exclude-libs,ALL"], check=True)
    return [*objects, *core]


def linker(compiler):
    # The wheels keep their libraries in lib, where nvcc does not look.
    return [compiler, "-std=c++17", "-O2", "-cudart", "static", f"-L{pathlib.Path(compiler).resolve().parent.parent / 'lib'}", *GENCODE]


def programs(compiler, objects, folder):
    """What a machine with a card runs, beside the library, which it finds in its own folder."""
    everywhere = ["-static-libstdc++", "-static-libgcc"]
    host = ["-Xcompiler", ",".join(everywhere)]
    subprocess.run([*linker(compiler), *host, ROOT / "cuda/tests/device_check.cu", "-o", folder / "device_check"], check=True)
    # It times kernels that the library does not export.
    subprocess.run([*linker(compiler), *host, *sorted((ROOT / "cuda/bench").glob("*.cu")), *objects, "-o", folder / "bench"], check=True)
    for name, repeats in (("test_ops", 100), ("test_ops_once", 1)):
        subprocess.run(["g++", "-std=c++17", "-O1", f"-DGRAFT_REPEATS={repeats}", *sorted((ROOT / "cuda/tests").glob("test_*.cc")), "-o", folder / name,
                        *everywhere, f"-L{folder}", "-lgraft_cuda", "-Wl,-rpath,$ORIGIN"], check=True)


def main():
    command = sys.argv[1]
    compiler = nvcc()
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    CACHE.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        results = list(pool.map(lambda s: compile_one(compiler, version, s), SOURCES))
    objects = [o for o, _ in results]
    if command == "library":
        link(compiler, objects, sys.argv[2])
        return
    if command == "programs":
        folder = pathlib.Path(sys.argv[2])
        programs(compiler, link(compiler, objects, folder / "libgraft_cuda.so"), folder)
        return
    table = usage({s.name: log for s, (_, log) in zip(SOURCES, results)})
    if command == "update":
        write(table)
    faults = compare(table)
    print("\n".join(faults) or f"{len({k[::2] for k in table})} kernels for {len(ARCHS)} architectures: no spills, within budget")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
