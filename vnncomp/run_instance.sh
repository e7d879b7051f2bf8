#!/bin/bash
# Usage: run_instance.sh v1 CATEGORY ONNX VNNLIB [RESULTS [TIMEOUT]]
# Answer an instance within TIMEOUT seconds. RESULTS gets the word sat, unsat, unknown, timeout or
# error; after sat the counterexample follows. Without RESULTS the answer is on standard output.
set -u
if [ "${1:-}" != v1 ]; then
    echo "Expected the version v1, found '${1:-}'." >&2
    exit 1
fi
if [ $# -lt 4 ]; then
    echo "Expected v1 CATEGORY ONNX VNNLIB [RESULTS [TIMEOUT]], found $# arguments." >&2
    exit 1
fi
onnx=$3 vnnlib=$4 results=${5:-} seconds=${6:-}
here=$(cd "$(dirname "$0")" && pwd)
dualbound=${DUALBOUND:-$here/../.venv/bin/dualbound}

command=("$dualbound" vnncomp --instance "$onnx" "$vnnlib")
if [ -n "$results" ]; then
    rm -f "$results"
    command+=(--out "$results")
fi
if [ -n "$seconds" ]; then
    command=(timeout --kill-after=5 "$seconds" "${command[@]}" --timeout "$seconds")
fi
"${command[@]}"
code=$?

if [ -n "$results" ] && [ ! -s "$results" ]; then
    case $code in
        124 | 137) echo timeout > "$results" ;;
        *) echo error > "$results" ;;
    esac
fi
exit 0
