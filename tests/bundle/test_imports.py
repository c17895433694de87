"""Running a bundle imports nothing but what its requirements and this package's own bring."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from tests.bundle.distributions import closure

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

allowed = set(sys.argv[3].split(","))

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in allowed or top.startswith("_sysconfigdata"):
            return None
        raise ModuleNotFoundError(f"No module named {name!r} (not among the requirements)", name=name)

sys.meta_path.insert(0, Blocker())
import lnlattennet
print(lnlattennet.load(sys.argv[1]).predict(sys.argv[2]).label)
"""


def test_requirements_hold_all_that_load_imports(bundle_path: Path, tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    Image.new("RGB", (64, 64), (120, 90, 60)).save(image)
    manifest = Bundle.load(bundle_path).manifest
    engine = manifest.engine()
    needed = closure({"lnlattennet", *engine.requires.packages})
    modules = {
        top
        for top, owners in metadata.packages_distributions().items()
        if {canonicalize_name(owner) for owner in owners} & needed
    }
    assert not {"torch", "tritonclient", "openvino", "matplotlib"} & modules
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, bundle_path, image, ",".join(sorted({*modules, "lnlattennet"}))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in manifest.class_names
