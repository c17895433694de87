"""The benchmarks' command lines."""

from __future__ import annotations

import importlib

import pytest

MODULES = (
    "attention.__main__",
    "bundle.__main__",
    "export.__main__",
    "figures",
    "images.__main__",
    "limits.__main__",
    "network.__main__",
    "programs.__main__",
    "serving.__main__",
    "serving.latency",
    "startup.__main__",
    "streams.__main__",
    "streams.score",
    "training.augmentation",
    "training.throughput",
)


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_says_how_it_is_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"lnlattennet.benchmarks.{name}")
    with pytest.raises(SystemExit) as stopped:
        module.run(["--help"])
    assert stopped.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"usage: python -m lnlattennet.benchmarks.{name.removesuffix('.__main__')} " in printed
    first_line = (module.__doc__ or "").partition("\n")[0]
    assert first_line in printed


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("attention.__main__", ["--threads", "0"], "--threads: must be at least 1, got 0"),
        ("bundle.__main__", ["--rounds", "few"], "--rounds: invalid count value: 'few'"),
        (
            "bundle.__main__",
            ["--earlier-bundle", "x"],
            "give its Python by --earlier",
        ),
        ("serving.__main__", ["bundle", "--earlier", "/nowhere"], "--earlier: must be a Python that can be"),
        ("training.throughput", ["--epochs", "1"], "--epochs: must be at least 2, got 1"),
    ],
)
def test_a_wrong_value_is_named(
    name: str, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"lnlattennet.benchmarks.{name}").run(arguments)
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err
