"""One rule for exit codes: 1 for what a command reads, calls or writes, 2 for how it was called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lnlattennet._cli import main
from lnlattennet.export._cli import main as export_main
from tests.commands import call

MISSING = [
    "info nothing",
    "doctor nothing",
    "compare nothing BUNDLE",
    "evaluate nothing --data synthetic",
    "evaluate BUNDLE --data nothing",
    "explain nothing face.png -o out",
    "explain CHECKPOINT nothing.png -o out",
    "serve nothing",
    "versions nothing",
    "predict nothing.png --bundle BUNDLE",
    "predict @/dev/null --bundle BUNDLE",
    "predict face.png --bundle nothing",
    "predict face.png --bundle BUNDLE --engine none",
    "predict face.png --url grpc://127.0.0.1:9",
    "timeline nothing.csv",
    "train --data nothing -o out.safetensors",
    "train --data synthetic --init nothing -o out.safetensors",
    "bench run images --bundle nothing",
    "bench report nothing -o page.html",
    "bench compare nothing nothing",
    "data inspect nothing",
    "data prepare nothing -o out",
    "export-engine -c nothing -o out",
    "export-engine -c CHECKPOINT -o out --dry-run --precision int8 --calibration nothing",
]
WRONG = [
    "info --unknown",
    "evaluate CHECKPOINT --data synthetic --engine none",
    "explain CHECKPOINT face.png -o out --unknown",
    "serve BUNDLE --http-port 70000",
    "predict face.png --url 127.0.0.1",
    "predict face.png --url grpcs://127.0.0.1:9 --ca nothing",
    "predict @nothing --bundle BUNDLE",
    "gateway --keys nothing",
    "gateway --certificate nothing",
    "timeline face.png",
    "train --data synthetic --epochs 0 -o out.safetensors",
    "train --data synthetic --recipe nothing -o out.safetensors",
    "train --data synthetic --network nothing -o out.safetensors",
    "train --data synthetic -o CHECKPOINT",
    "data prepare nothing -o BUNDLE",
    "data render BUNDLE",
    "kernels build --device tpu",
    "export-engine -c CHECKPOINT -o out --dry-run --backend none",
    "export-engine -c CHECKPOINT -o out --dry-run --precision none",
    "export-engine -c CHECKPOINT -o out --dry-run --precision-plan nothing",
    "export-engine -c CHECKPOINT -o BUNDLE --dry-run",
    "export-engine -c CHECKPOINT -o face.png --dry-run",
]


@pytest.mark.parametrize(
    ("line", "code"), [(line, 1) for line in MISSING] + [(line, 2) for line in WRONG], ids=str
)
def test_exit_code(line: str, code: int, checkpoint_path: Path, bundle_path: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "face.png")
    places = {"BUNDLE": bundle_path, "CHECKPOINT": checkpoint_path}
    program, *arguments = (line if line.startswith("export-engine") else f"lnlattennet {line}").split()
    entry: Callable[[], None] = export_main if program == "export-engine" else main
    done = call(entry, program, *(places.get(word, word) for word in arguments), folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["face.png"]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["evaluate", "a.safetensors", "--data", ""], "that after --data is"),
        (["train", "--data=", "-o", "a.safetensors"], "that of --data is"),
        (
            ["export-engine", "-c", "a.safetensors", "-o", "out", "--calibration", ""],
            "that after --calibration is",
        ),
        ([""], "and that is"),
        (["predict", "rtsp://me:secret@camera/1", ""], "and that is"),
    ],
)
def test_an_empty_argument_is_refused(arguments: list[str], where: str, tmp_path: Path) -> None:
    """As a path it would be the current folder."""
    done = call(main, "lnlattennet", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "an argument must not be empty" in done.stderr
    assert where in done.stderr
    assert "secret" not in done.stderr
