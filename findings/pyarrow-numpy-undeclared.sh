#!/usr/bin/env bash
# pyarrow 26 installs beside numpy 1.26, `pip check` is content, and then it cannot be imported.
#
# Seen with: pyarrow 26.0.1, numpy 1.26.4, Python 3.11, Linux x86-64.
# Behavior:  pyarrow declares no dependency on numpy at all, so no installer knows that it needs numpy 2 where numpy is
#            there. Without numpy it imports; with numpy 1.26 it raises. pyarrow 25.0.1 imports with both.
# Output:    pyarrow 26.0.1 without numpy: imports
#            pyarrow 26.0.1 with numpy 1.26.4: pip check passes; ImportError
#            pyarrow 25.0.1 with numpy 1.26.4: pip check passes; imports
# Bites:     environments that hold numpy below 2 for another package (the python backend of nvidia-pytriton's
#            tritonserver among them) and ask for pyarrow without an upper bound: whatever imports it fails.
# Way out:   pyarrow<26 where numpy<2 has to stay.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
pip() { venv/bin/pip "$@" --quiet --disable-pip-version-check 2>/dev/null; }
state() {
    checked=$(venv/bin/pip check >/dev/null 2>&1 && echo "pip check passes" || echo "pip check complains")
    imported=$(venv/bin/python -c 'import pyarrow' >/dev/null 2>error.txt && echo "imports" || grep -o '^[A-Za-z]*Error' error.txt | tail -1)
    echo "$checked; $imported"
}
pip install pyarrow==26.0.1
bare=$(state)
pip install numpy==1.26.4
with=$(state)
pip install pyarrow==25.0.1
before=$(state)
echo "pyarrow 26.0.1 without numpy: ${bare#*; }"
echo "pyarrow 26.0.1 with numpy 1.26.4: $with"
echo "pyarrow 25.0.1 with numpy 1.26.4: $before"
[ "$bare" = "pip check passes; imports" ] && [ "$with" = "pip check passes; ImportError" ] &&
    [ "$before" = "pip check passes; imports" ]
