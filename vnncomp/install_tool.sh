#!/bin/bash
# Usage: install_tool.sh v1
# Install dualbound into .venv of this checkout. PYTHON names another Python than python3 (3.11 or later).
set -eu
if [ "${1:-}" != v1 ]; then
    echo "Expected the version v1, found '${1:-}'." >&2
    exit 1
fi
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dualbound needs Python 3.11 or later: set PYTHON")'
"$python" -m venv "$root/.venv"
"$root/.venv/bin/pip" install -q --disable-pip-version-check -c "$root/constraints.txt" "$root"
"$root/.venv/bin/dualbound" --version
