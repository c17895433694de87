"""What commands advise to install is installed, in an environment without it; then they do their work."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lnlattennet
from tests.bundle.distributions import closure, installed_entries


class Environment:
    """An environment with pip, and a base install of this package: no extra."""

    def __init__(self, folder: Path) -> None:
        # Beside the environment, where pip uninstalls nothing: these are links to the packages of the tests.
        base = folder / "base"
        base.mkdir()
        for entry in set().union(*map(installed_entries, closure({"lnlattennet"}))):
            if not entry.name.startswith("__"):
                (base / entry.name).symlink_to(entry)
        venv.create(folder / "environment", with_pip=True)
        [site_packages] = (folder / "environment").glob("lib/python*/site-packages")
        source = Path(lnlattennet.__file__).parent.parent
        (site_packages / "base.pth").write_text(f"{base}\n{source}\n")
        self._bin = folder / "environment" / "bin"
        self._folder = folder

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}", "COLUMNS": "1000"}
        program = shutil.which(command[0], path=variables["PATH"])
        assert program is not None
        return subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            env=variables,
            cwd=self._folder,
        )

    def lnlattennet(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-P", "-m", "lnlattennet", *map(str, arguments))

    def follow(self, advice: str) -> None:
        """Run the pip command of an advice, word for word."""
        done = self.run(*shlex.split(advice))
        if "Could not find a version" in done.stderr or "Connection" in done.stderr:
            pytest.skip(f"no package index within reach: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("base-install"))


def test_an_engine_runs_after_the_doctors_remedy(
    environment: Environment, bundle_path: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), (120, 90, 60)).save(tmp_path / "face.png")
    name = "openvino-fp32"

    def report() -> Any:
        done = environment.lnlattennet("doctor", bundle_path, "--json")
        return next(row for row in json.loads(done.stdout)["engines"] if row["engine"] == name)

    predict = ("predict", tmp_path / "face.png", "--bundle", bundle_path, "--engine", name, "--json")
    assert environment.lnlattennet(*predict).returncode == 4
    before = report()
    assert before["verdict"] == "cannot"
    [remedy] = before["remedies"]
    environment.follow(remedy)
    assert report()["verdict"] == "runs"
    done = environment.lnlattennet(*predict)
    assert done.returncode == 0, done.stderr


def test_a_face_finder_runs_after_what_its_error_advises(environment: Environment) -> None:
    program = (
        "import sys\n"
        "from lnlattennet.images.finders._registry import finder_named\n"
        "finder_named('libfacedetection').create()\n"
    )
    failed = environment.run("python", "-P", "-c", program)
    assert "UnavailableError" in failed.stderr
    environment.follow(failed.stderr.strip().rpartition(": ")[2])
    done = environment.run("python", "-P", "-c", program)
    assert done.returncode == 0, done.stderr


def test_the_environment_has_no_extra(environment: Environment) -> None:
    """Else the other tests would show nothing."""
    done = environment.run("python", "-P", "-c", "import torch")
    assert "No module named 'torch'" in done.stderr
