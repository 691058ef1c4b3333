#!/bin/sh
# Makes a virtual environment with a Python that Corral runs on: venv.sh DIRECTORY
# PYTHON names one; otherwise the first that fits is taken.
set -eu
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    "$python" -c "$fits" 2>/dev/null || continue
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        echo "$python has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
    echo "Making $1 with $("$python" --version)."
    exec "$python" -m venv --clear "$1"
done
echo "Corral needs Python 3.11, 3.12 or 3.13; none was found." >&2
echo "Install one, or name it: make serve PYTHON=/path/to/python3.12" >&2
exit 1
