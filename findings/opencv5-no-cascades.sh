#!/usr/bin/env bash
# OpenCV 5's wheels name a folder of Haar cascades that holds none, and a classifier loaded from there is silently empty.
#
# Seen with: opencv-python-headless 5.0.0.93 and opencv-contrib-python-headless 5.0.0.93 beside 4.13.0.92, Python 3.11,
#            Linux x86-64.
# Behavior:  cv2.data.haarcascades and cv2.CascadeClassifier are there as in OpenCV 4 (the latter in the contrib wheel
#            only), but the 17 files that OpenCV 4's wheels bring are gone. CascadeClassifier(path of a missing file)
#            raises nothing; its empty() is True, and only detectMultiScale raises, with an assertion that names no file.
# Output:    opencv-contrib-python-headless 4.13.0.92: CascadeClassifier, 17 cascades; loaded: True
#            opencv-python-headless 5.0.0.93: no CascadeClassifier, 0 cascades
#            opencv-contrib-python-headless 5.0.0.93: CascadeClassifier, 0 cascades; loaded: False; searching raises error
# Bites:     packages that find faces with OpenCV's own cascade and do not limit its version, such as fer 25.10.3: a plain
#            pip install brings OpenCV 5, and they fail at their first photograph instead of at their import.
# Way out:   opencv-...<5; check empty() after loading.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PYTHON'
import pathlib
import sys

import cv2
import numpy as np

folder = pathlib.Path(cv2.data.haarcascades)
has_class = hasattr(cv2, "CascadeClassifier")
line = f"{'' if has_class else 'no '}CascadeClassifier, {len(list(folder.glob('*.xml')))} cascades"
if has_class:
    classifier = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
    line += f"; loaded: {not classifier.empty()}"
    try:
        classifier.detectMultiScale(np.zeros((64, 64), np.uint8))
    except cv2.error:
        line += "; searching raises error"
print(f"{sys.argv[1]}: {line}")
PYTHON
for package in opencv-contrib-python-headless==4.13.0.92 opencv-python-headless==5.0.0.93 \
    opencv-contrib-python-headless==5.0.0.93; do
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$package" 2> /dev/null
  "$folder/venv/bin/python" "$folder/look.py" "${package/==/ }" 2> /dev/null
  rm -rf "$folder/venv"
done > "$folder/seen"
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
opencv-contrib-python-headless 4.13.0.92: CascadeClassifier, 17 cascades; loaded: True
opencv-python-headless 5.0.0.93: no CascadeClassifier, 0 cascades
opencv-contrib-python-headless 5.0.0.93: CascadeClassifier, 0 cascades; loaded: False; searching raises error
EXPECTED
