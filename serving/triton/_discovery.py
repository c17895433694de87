"""Discovery of the tritonserver to run: the one on PATH, else the one of the `server` extra.

The extra's wheel (nvidia-pytriton) keeps the stubs of its python backend apart from the backend, one per
Python version, and links against libraries of its own; its parts are assembled here.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

from lnlattennet._program_folder import temporary_program_folder
from lnlattennet.errors import UnavailableError
from lnlattennet.serving.triton._shell_paths import require_shell_safe_path

DEFAULT_BACKENDS = Path("/opt/tritonserver/backends")
"""Folder of the backends in NVIDIA's container."""

_WRITTEN_TO = {
    "/tmp": "mount a file system there (docker run --tmpfs /tmp:exec)",  # noqa: S108
    "/dev/shm": "mount a tmpfs there (docker run --shm-size 64m)",  # noqa: S108
}
"""Folders that the python backend needs -> what to do if they cannot be written."""

_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_LEAST_SHARED_MIB = 8
"""Free MiB there: each of the usual three instances takes 1, and each that an image passes grows with it.

Measured with Triton 2.51: with 3 it starts, with 4 an image of 1 MiB fails, with 8 one of 3 MiB passes.
"""


@dataclass(frozen=True)
class TritonServer:
    """A server that can be started.

    Attributes:
        executable: path of the program.
        backend_directory: holds one folder per backend.
        environment: variables that it needs in addition to the caller's.
        embedded: whether it is the one of the `server` extra, which is for development only.
    """

    executable: Path
    backend_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    embedded: bool = False

    @property
    def backends(self) -> frozenset[str]:
        """Names of the backends that it has."""
        return frozenset(path.name for path in self.backend_directory.iterdir() if path.is_dir())


@contextmanager
def find_server(backend_directory: Path | str | None = None) -> Iterator[TritonServer]:
    """Yield the server to use; files that were assembled for it are removed afterwards.

    Args:
        backend_directory: backends of the server on PATH, if not in ``DEFAULT_BACKENDS``.

    Raises:
        UnavailableError: there is no server, or it cannot run this package's models.
    """
    _require_room()
    program = shutil.which("tritonserver")
    if program:
        # Absolute paths: the server runs in another folder than this process.
        yield _installed(Path(program).absolute(), Path(backend_directory or DEFAULT_BACKENDS).absolute())
        return
    if backend_directory:
        raise UnavailableError(f"--backend-directory {backend_directory} needs a tritonserver on PATH")
    with temporary_program_folder("lnlattennet-triton-") as folder:
        yield _embedded(folder)


def _installed(program: Path, backends: Path) -> TritonServer:
    if not (backends / "python").is_dir():
        raise UnavailableError(
            f"{program} has no python backend in {backends}, which this package's models need: "
            "name its folder of backends with --backend-directory"
        )
    require_shell_safe_path(backends, "name another folder of backends with --backend-directory")
    return TritonServer(program, backends, {"PATH": _path_with_this_python()})


def _embedded(folder: Path) -> TritonServer:
    """Assemble the wheel's server; ``folder`` becomes its backend directory."""
    package = _wheel()
    _require_numpy_1()
    parts = package / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = parts / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise UnavailableError(
            f"the embedded tritonserver has no python backend for Python {version}: "
            "install this package under a Python that it supports, or use NVIDIA's Triton container"
        )
    backend = folder / "python"
    backend.mkdir()
    for source in (*parts.glob("backends/python/*.*"), stub):
        (backend / source.name).symlink_to(source)
    libraries = (str(package.parent / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR"))
    environment = {
        "PATH": _path_with_this_python(),
        "LD_LIBRARY_PATH": _joined(*libraries, os.environ.get("LD_LIBRARY_PATH", "")),
    }
    return TritonServer(parts / "bin" / "tritonserver", folder, environment, embedded=True)


def _require_room() -> None:
    for folder, remedy in _WRITTEN_TO.items():
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnavailableError(
                f"Triton's python backend writes to {folder}, whatever TMPDIR says, and {folder} cannot be "
                f"written here: {remedy}"
            )
    free = os.statvfs(_SHARED_MEMORY)
    mebibytes = free.f_bavail * free.f_frsize / 2**20
    if mebibytes < _LEAST_SHARED_MIB:
        raise UnavailableError(
            f"Triton's python backend passes images through {_SHARED_MEMORY}, which must have "
            f"{_LEAST_SHARED_MIB} MiB free and has {mebibytes:.1f}: remove what fills it, or "
            f"{_WRITTEN_TO[_SHARED_MEMORY]}"
        )


def _wheel() -> Path:
    # Asking for the location only: importing pytriton would take seconds and configure logging.
    spec = util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError(
            "no tritonserver found: put one on PATH (NVIDIA's Triton container has it), "
            "or install the embedded one: pip install 'lnlattennet[server]'"
        )
    return Path(spec.submodule_search_locations[0])


def _require_numpy_1() -> None:
    version = metadata.version("numpy")
    if int(version.split(".")[0]) >= 2:
        raise UnavailableError(
            f"the embedded tritonserver needs numpy < 2 (with {version}, its python models answer with empty "
            "tensors): pip install 'numpy<2'"
        )


def _path_with_this_python() -> str:
    """PATH with this interpreter's folder first: the backend's stubs take the first Python as theirs."""
    return _joined(str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))


def _joined(*parts: str) -> str:
    return os.pathsep.join(part for part in parts if part)
