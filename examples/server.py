"""The expressions on images, asked of a server that `lnlattennet serve build/demo` runs.

python examples/server.py grpc://127.0.0.1:8001 face.jpg another.jpg
"""

import sys
from pathlib import Path

from lnlattennet import Client

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    url, *paths = sys.argv[1:]
    with Client(url) as client:
        print(f"{url} knows {', '.join(client.description.class_names)}")
        for path, prediction in zip(
            paths, client.predict([Path(p).read_bytes() for p in paths]), strict=True
        ):
            print(f"{path}: {prediction.label}, {prediction.probabilities[prediction.label]:.1%}")
