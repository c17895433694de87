"""The expressions on a folder of images, as CSV.

python examples/folder.py build/demo faces/ > expressions.csv
"""

import csv
import sys
from pathlib import Path

import lnlattennet
from lnlattennet.errors import ImageError

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bundle, folder = sys.argv[1:]
    model = lnlattennet.load(bundle)
    writer = csv.writer(sys.stdout)
    writer.writerow(["image", "label", "probability", "face found"])
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
            continue
        try:
            prediction = model.predict(path)
        except ImageError as error:
            print(f"{path} is left out: {error}", file=sys.stderr)
            continue
        probability = prediction.probabilities[prediction.label]
        writer.writerow([path, prediction.label, f"{probability:.4f}", prediction.face_found])
