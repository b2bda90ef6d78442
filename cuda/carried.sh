#!/bin/sh
# The tests of the whole step on a GPU, from the binaries beside this script (made by
# cuda/pack.sh): no Go, no compiler, no network. In less than ten minutes
#   the operation table, the fixtures of PyTorch, PEFT and transformers, CPU against GPU
#   for every method, resuming on either device, a hundred steps twice, memory that is not there, one step under compute-sanitizer,
#   and the time of a step.
# SANITIZER names compute-sanitizer where it is not in the path; "none" leaves it out,
# and says so. SHORT=1 takes four steps for a hundred. PARTS chooses some of the parts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export GRAFT_CUDA_LIB="${GRAFT_CUDA_LIB:-$here/libgraft_cuda.so}"
parts=${PARTS:-"table parity devices readers hundred memory sanitizer bench"}
short=${SHORT:+-test.short}
failed=
"$here/graft" devices
"$here/graft" devices --json | grep -q '"arch": "sm_' || { echo "run.sh: no GPU" >&2; exit 1; }

part() {  # name, command: its output is shown where it fails
    name=$1
    shift
    began=$(date +%s)
    if (cd "$here" && "$@") >"$here/$name.log" 2>&1; then
        echo "ok    $name, $(($(date +%s) - began)) s"
    else
        tail -n 40 "$here/$name.log"
        echo "FAIL  $name, $(($(date +%s) - began)) s: $here/$name.log"
        failed="$failed $name"
    fi
}
step() { name=$1; shift; part "$name" "$here/step.test" -test.v $short -test.timeout 9m -test.run "$1"; }

for p in $parts; do
    case $p in
    table) part table "$here/optest.test" -test.timeout 9m -test.run 'TestCUDA$' ;;
    parity) part parity "$here/parity.test" -test.timeout 9m ;;
    devices) step devices TestDevices ;;
    readers) step readers 'TestReaders$' ;;
    hundred) step hundred 'TestHundredSteps$' ;;
    memory) step memory 'TestNoMemory$' ;;
    sanitizer)
        tool=${SANITIZER:-$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)}
        if [ "$tool" = none ]; then
            echo "not run: compute-sanitizer"
        elif [ -z "$tool" ]; then
            echo "FAIL  compute-sanitizer is not there: set SANITIZER to its path, or to none"
            failed="$failed sanitizer"
        else
            for check in memcheck racecheck initcheck synccheck; do
                part "$check" "$tool" --tool "$check" --error-exitcode 1 "$here/step.test" -test.run 'TestOneStep$'
            done
        fi
        ;;
    bench) for method in ${METHODS:-lora qlora full}; do
        part "bench-$method" "$here/graft" bench step --model "${MODEL:-llama-3.2-1b}" --method "$method" --device cuda:0 --batch "${BATCH:-1}" --seq "${SEQ:-4096}" --json
    done ;;
    *) echo "run.sh: PARTS: $p is none of table parity devices readers hundred memory sanitizer bench" >&2; exit 2 ;;
    esac
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
