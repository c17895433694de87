"""The expression on one image, and the regions of the face that it comes from.

python examples/image.py build/demo face.jpg overlay.png
"""

import sys

import lnlattennet

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    bundle, image, overlay = sys.argv[1:]
    prediction = lnlattennet.load(bundle).predict(image)
    print(f"{prediction.label}: {prediction.probabilities[prediction.label]:.1%}")
    prediction.save_overlay(overlay)
