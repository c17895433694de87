#!/usr/bin/env bash
# OpenCV: cv2.stackBlur of 8-bit images depends on the number of threads.
#
# Seen with: opencv-python-headless 4.11.0.86, 4.14.0.94 and 5.0.0.93, numpy 2.2.6, Python 3.11, x86-64 with AVX-512, 2 cores.
# Behavior:  the same image and kernel give other pixels with 2 threads than with 1: differences of 1 gray level
#            in 0.3% to 16% of the values, for images of 16x16 to 112x112. float32 images give equal bits, and so do
#            GaussianBlur, blur, filter2D, resize and warpAffine (tried with 4.11.0.86 only).
# Output:    (all three) uint8 112x112, kernel 5: 348 of 37632 values differ, by at most 1
#                        float32 112x112, kernel 5: 0 of 37632 values differ, by at most 0
# Bites:     whoever augments or renders training images in worker processes (which usually set one thread) and
#            expects the same seed to give the same pixels in the main process; tests that compare hashes.
# Way out:   cv2.setNumThreads(1) wherever pixels must be repeatable, or GaussianBlur.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in ${OPENCV_VERSIONS:-4.11.0.86 4.14.0.94 5.0.0.93}; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check \
    "opencv-python-headless==$version" 'numpy==2.2.6'
  "$folder/$version/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

print("OpenCV", cv2.__version__)
noise = np.random.default_rng(0).random((112, 112, 3)) * 255


def differing(dtype):
    """Count the values that differ between one thread and two, and their largest difference."""
    image, results = noise.astype(dtype), []
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        results.append(cv2.stackBlur(image, (5, 5)).astype(np.float64))
    difference = np.abs(results[0] - results[1])
    print(f"{dtype.__name__} 112x112, kernel 5: {np.count_nonzero(difference)} of {difference.size} values "
          f"differ, by at most {difference.max():g}")
    return np.count_nonzero(difference)


sys.exit(not (differing(np.uint8) > 0 and differing(np.float32) == 0))
PYTHON
done
