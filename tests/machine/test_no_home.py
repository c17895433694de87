"""A user without a home, as containers run programs: nothing asks for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.parametrize("home", ["/proc/nothing", "/dev/null"])
def test_predict_needs_no_home(bundle_path: Path, tmp_path: Path, home: str) -> None:
    """A folder that cannot be made, and one that is a file: even root may write to neither."""
    image = tmp_path / "face.png"
    Image.new("RGB", (64, 64), (120, 90, 60)).save(image)
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "lnlattennet", "predict", image, "--bundle", bundle_path, "--json"],
        env=kept | {"HOME": home},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["status"] == "no_face"
    assert "Traceback" not in done.stderr
