#!/usr/bin/env bash
# The tests and benchmarks on a GPU, from the files beside this script (made by
# cuda/pack.sh): no Go, no compiler, no network. PARTS chooses some of
#
#   check        the instructions that everything is built on, one by one
#   operations   every operation against loops in double, 100 times bit-equal
#   kernels      products-own -wgmma -cublaslt, attention-wgmma -cudnn: again by each of their kernels
#   memcheck racecheck initcheck synccheck   every operation under that tool of compute-sanitizer
#   table parity the operation table; the fixtures of PyTorch, PEFT and transformers
#   devices readers hundred memory           whole steps beside the CPU's (docs/gpu-ci.md)
#   sanitizer    step-memcheck -racecheck -initcheck -synccheck: one step of each kind of base
#   bench        bench-lora -qlora -full: the time of a step
#
# and where they are named, for they test nothing:
#   rates        the time of each operation: rates.log
#   peers        steps beside transformers + PEFT, where python3 has them: peers.log, step.json (step.py);
#                METHODS=lora alone goes to step-lora.json
#
# Each of these ends after LIMIT seconds (570), as a failure that says so, so that a
# call for one of them is shorter than ten minutes. OPERATIONS is part of a name: only
# these operations are run; FIXTURES, a pattern, is the same for the tests of parity.
# SANITIZER names compute-sanitizer where it is not in the path; "none" leaves it out,
# and says so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export GRAFT_CUDA_LIB="${GRAFT_CUDA_LIB:-$here/libgraft_cuda.so}"
. "$here/libraries.sh"
limit=${LIMIT:-570}
only=${OPERATIONS:-}
tools="memcheck racecheck initcheck synccheck"
of_operations="check operations kernels $tools"
of_steps="table parity devices readers hundred memory sanitizer bench"
failed=

part() {  # name, command: its output is shown where it fails
    local name=$1 began=$SECONDS status=0 missing
    shift
    (cd "$here" && exec timeout -k 10 "$limit" "$@") >"$here/$name.log" 2>&1 || status=$?
    if [ $status = 0 ]; then
        echo "ok    $name, $((SECONDS - began)) s"
        return
    fi
    # A library that was asked for is not on this machine: nothing was tested.
    if missing=$(grep -m1 -oE 'GRAFT_CUDA_[A-Z]+=[a-z]+: .*' "$here/$name.log"); then
        echo "not run: $name: $missing"
        return
    fi
    tail -n 40 "$here/$name.log"
    [ $status = 124 ] && echo "run.sh: $name did not end within LIMIT=$limit s"
    echo "FAIL  $name, $((SECONDS - began)) s: $here/$name.log"
    failed="$failed $name"
}
step() { part "$1" "$here/step.test" -test.v -test.run "$2"; }
sanitizer() { echo "${SANITIZER:-$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)}"; }
under() {  # a tool of compute-sanitizer, name, command
    local check=$1 name=$2 tool
    shift 2
    tool=$(sanitizer)
    if [ "$tool" = none ]; then
        echo "not run: $name, under compute-sanitizer"
    elif [ -z "$tool" ]; then
        echo "FAIL  $name: compute-sanitizer is not there: set SANITIZER to its path, or to none"
        failed="$failed $name"
    else
        part "$name" "$tool" --tool "$check" --error-exitcode 1 "$@"
    fi
}

if [ -x "$here/graft" ]; then
    "$here/graft" devices
    [[ $("$here/graft" devices --json) = *'"arch": "sm_'* ]] || { echo "run.sh: no GPU" >&2; exit 1; }
fi
if [ -z "${PARTS:-}" ]; then
    PARTS=$of_operations
    if [ -x "$here/step.test" ]; then
        PARTS="$PARTS $of_steps"
    else
        echo "not run: the whole step ($of_steps): there was no Go where this was packed"
    fi
fi
each() {  # the parts that a name stands for
    case $1 in
    kernels) echo products-own products-wgmma products-cublaslt attention-wgmma attention-cudnn ;;
    sanitizer) for tool in $tools; do echo "step-$tool"; done ;;
    bench) for method in ${METHODS:-lora qlora full}; do echo "bench-$method"; done ;;
    *) echo "$1" ;;
    esac
}
known=" $(for name in $of_operations $of_steps rates peers; do each "$name"; done | tr '\n' ' ') "
parts=$(for name in $PARTS; do each "$name"; done)
for p in $parts; do
    [[ $known = *" $p "* || $p = bench-* ]] || { echo "run.sh: PARTS: $p is none of $of_operations $of_steps rates peers" >&2; exit 2; }
done
for p in $parts; do
    case $p in
    check)
        part check "$here/device_check"
        [ -z "$failed" ] || { echo "run.sh: no GPU, or one that does not do what everything is built on: nothing else has to be looked at" >&2; exit 1; }
        ;;
    operations) part operations "$here/test_ops" ${only:+"$only"} ;;
    products-own | products-wgmma | products-cublaslt) part "$p" env GRAFT_CUDA_GEMM="${p#*-}" "$here/test_ops_once" linear ;;
    attention-wgmma | attention-cudnn) part "$p" env GRAFT_CUDA_ATTENTION="${p#*-}" "$here/test_ops_once" attention ;;
    memcheck | racecheck | initcheck | synccheck) under "$p" "$p" "$here/test_ops_once" ${only:+"$only"} ;;
    table) part table "$here/optest.test" -test.run 'TestCUDA$' ;;
    parity) part parity "$here/parity.test" -test.run "${FIXTURES:-.}" ;;
    devices) step devices TestDevices ;;
    readers) step readers 'TestReaders$' ;;
    hundred) step hundred 'TestHundredSteps$' ;;
    memory) step memory 'TestNoMemory$' ;;
    step-memcheck | step-racecheck | step-initcheck | step-synccheck) under "${p#*-}" "$p" "$here/step.test" -test.run 'TestOneStep$' ;;
    bench-*)
        part "$p" "$here/graft" bench step --model "${MODEL:-llama-3.2-1b}" --method "${p#*-}" --device cuda:0 --batch "${BATCH:-1}" --seq "${SEQ:-4096}" --json
        grep -E '"(tokens_per_second|mfu|busy_at_most|device)":' "$here/$p.log" || true
        ;;
    rates) part rates "$here/bench" ${only:+"$only"} ;;
    peers)
        part peers python3 "$here/step.py" --methods "$(echo "${METHODS:-lora qlora full}" | tr ' ' ,)" --out "$here/step${METHODS:+-${METHODS// /-}}.json"
        cat "$here/peers.log"
        ;;
    esac
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
