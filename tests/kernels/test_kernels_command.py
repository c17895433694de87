"""`lnlattennet kernels build` and `lnlattennet kernels info` as users call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lnlattennet._cache_folder import cache_folder
from lnlattennet._cli import main
from tests.commands import call


def run(cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lnlattennet")), "kernels", *arguments]
    variables = os.environ | {"LNLATTENNET_CACHE": str(cache)} | environment
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=290)


def call_here(cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LNLATTENNET_CACHE": str(cache), **environment}.items():
            patch.setenv(name, value)
        return call(main, "lnlattennet", "kernels", *arguments)


@pytest.mark.slow
def test_what_is_built_ahead_of_time_is_what_runs() -> None:
    """In the user's own cache, where `make test` has built it."""
    cache = cache_folder("kernels").parent
    built = run(cache, "build", "--device", "cpu", "--json")
    assert built.returncode == 0, built.stderr
    library = json.loads(built.stdout)["cpu"]["library"]
    info = json.loads(run(cache, "info", "--json").stdout)["cpu"]
    assert (info["kind"], info["library"]) == ("compiled", library)
    assert info["target"] in ("avx512_bf16", "avx512", "avx2", "generic")
    again = run(cache, "build", "--device", "cpu")
    assert (again.returncode, again.stdout, again.stderr) == (0, f"cpu: {library}\n", "")
    # A machine without a compiler takes what another one built.
    assert json.loads(run(cache, "info", "--json", PATH="/nonexistent").stdout)["cpu"] == info


def test_before_a_build_info_says_that_the_first_use_does_it(tmp_path: Path) -> None:
    info = json.loads(call_here(tmp_path, "info", "--json").stdout)["cpu"]
    assert info == info | {"kind": "compiled", "library": None, "target": None}
    assert "at first use" in info["reason"]
    assert not list(tmp_path.iterdir())


def test_info_says_in_a_table_what_runs_and_why(tmp_path: Path) -> None:
    done = call_here(tmp_path, "info", PATH="/nonexistent", CXX="")
    assert done.returncode == 0, done.stderr
    assert "reference" in done.stdout
    assert "no C++ compiler is on PATH" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--device", "cpu"], 4, "no C++ compiler is on PATH; install one"),
        (["--arch", "90"], 2, "--arch is for GPUs: it needs --device cuda"),
        (["--device", "cuda", "--arch", "9.0"], 2, "got '9.0'"),
        (["--device", "cuda", "--arch", "70"], 2, "compute capabilities from 75"),
        (["--device", "tpu"], 2, "'tpu' is not one of"),
    ],
)
def test_a_wrong_call_ends_with_its_exit_code_and_reason(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = call_here(tmp_path, "build", *arguments, PATH="/nonexistent", CXX="")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU its architecture is built")
def test_without_a_gpu_its_architecture_must_be_named(tmp_path: Path) -> None:
    done = call_here(tmp_path, "build", "--device", "cuda")
    assert done.returncode == 4
    assert "no CUDA device is here; `lnlattennet kernels build --arch` builds without one" in done.stderr


def test_a_failed_build_ends_with_1_and_the_compilers_words(tmp_path: Path) -> None:
    compiler = tmp_path / "broken-c++"
    compiler.write_text(
        "#!/bin/sh\necho 'broken 1.0, and out of ideas'\ncase \"$*\" in *--version*) ;; *) exit 1;; esac\n"
    )
    compiler.chmod(0o755)
    done = run(tmp_path / "cache", "build", "--device", "cpu", CXX=str(compiler))
    assert done.returncode == 1
    assert "out of ideas" in done.stderr
    assert "the kernels could not be built; the compilers' output is in" in done.stderr
    assert "Traceback" not in done.stderr.rpartition("error:")[2]


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["LNLATTENNET_CPU_TARGET", "LNLATTENNET_KERNELS"])
def test_info_refuses_a_variable_with_a_wrong_value(variable: str) -> None:
    """With the user's own cache: a library must be there to know its targets."""
    done = run(cache_folder("kernels").parent, "info", **{variable: "wrong"})
    assert done.returncode == 2, done.stdout
    assert variable in done.stderr
    assert "wrong" in done.stderr
