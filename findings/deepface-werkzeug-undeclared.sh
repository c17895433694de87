#!/usr/bin/env bash
# deepface 0.0.103 (2026-10-20) installs, `pip check` is content, and `from deepface import DeepFace` fails.
#
# Seen with: deepface 0.0.103, opencv-contrib-python-headless 4.12.0.88, Python 3.11, Linux x86-64.
# Behavior:  the release made Flask an extra (`deepface[api]`), so that its other interfaces need no web server; but
#            `deepface/commons/image_utils.py`, which every import goes through, imports werkzeug, which came with Flask.
# Output:    deepface 0.0.103: pip check passes; ModuleNotFoundError: No module named 'werkzeug'
#            deepface 0.0.103 with werkzeug 3.1.3: pip check passes; imports
# Bites:     whoever installs it in an environment of its own, as one does to compare packages: nothing of it works,
#            and an environment that has Flask for another reason hides it.
# Way out:   pip install deepface==0.0.103 werkzeug.
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
    imported=$(DEEPFACE_HOME=$folder venv/bin/python -c 'from deepface import DeepFace' >/dev/null 2>error.txt && echo "imports" || tail -1 error.txt)
    echo "$checked; $imported"
}
pip install deepface==0.0.103 opencv-contrib-python-headless==4.12.0.88
bare=$(state)
pip install werkzeug==3.1.3
with=$(state)
echo "deepface 0.0.103: $bare"
echo "deepface 0.0.103 with werkzeug 3.1.3: $with"
[ "$bare" = "pip check passes; ModuleNotFoundError: No module named 'werkzeug'" ] &&
    [ "$with" = "pip check passes; imports" ]
