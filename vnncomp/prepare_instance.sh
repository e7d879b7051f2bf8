#!/bin/bash
# Usage: prepare_instance.sh v1 CATEGORY ONNX VNNLIB
# Make sure that the network can be read. Nothing of the answer is computed here.
set -u
if [ "${1:-}" != v1 ]; then
    echo "Expected the version v1, found '${1:-}'." >&2
    exit 1
fi
if [ $# -lt 4 ]; then
    echo "Expected v1 CATEGORY ONNX VNNLIB, found $# arguments." >&2
    exit 1
fi
onnx=$3 vnnlib=$4
here=$(cd "$(dirname "$0")" && pwd)
dualbound=${DUALBOUND:-$here/../.venv/bin/dualbound}
for file in "$onnx" "$vnnlib"; do
    if [ ! -r "$file" ]; then
        echo "There is no file $file." >&2
        exit 1
    fi
done
"$dualbound" info "$onnx" > /dev/null
