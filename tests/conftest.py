"""Fixtures that several packages share; each is made once per test session."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import settings

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data.preparation import _known_faces
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.export import _engine_builder
from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.serving.triton._discovery import TritonServer, find_server
from lnlattennet.serving.triton._endpoints import choose_endpoints
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import deploy
from lnlattennet.serving.triton._topology import Topology

# A shell's background job (`make test &`, some CI runners) ignores Ctrl-C, and so would every command
# that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# For tests/images/test_fuzz.py.
settings.register_profile("fuzz", max_examples=20_000)

ROOT = Path(__file__).parent.parent
SMALL = NetworkConfig(
    image_size=48,
    widths=(8, 12),
    channels=8,
    heads=2,
    local_features=6,
    affinity_features=4,
    out_stride=2,
    grid=4,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: what is left for the end of a run on several cores takes seconds."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """One thread for torch, here and in the processes that a test starts; the kernels' tests use them all.

    In networks this small, threads mostly wait for each other: a short training takes several times as long.
    """
    if request.path.is_relative_to(ROOT / "tests" / "kernels"):
        yield
        return
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Let every test draw the same numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def cache_of_faces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what finders find in the tests out of the user's cache, and what it holds out of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_known_faces, "cache_folder", lambda name: folder / name)
        yield


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    """The trained checkpoint that the project ships."""
    return ROOT / "checkpoints" / "demo.safetensors"


MakeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Make a file or a folder once, also where several processes of pytest-xdist run the tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def make_once(name: str, make: Callable[[Path], None]) -> Path:
        path = folder / name
        with (folder / f"{name}.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if not lock.read():
                make(path)
                lock.write("made")
        return path

    return make_once


@pytest.fixture(scope="session", autouse=True)
def graphs_traced_once(make_once: MakeOnce) -> Iterator[None]:
    """Let exports in this process write the ONNX graph that the first export of the same network traced.

    torch takes seconds to trace one; tests/export/onnx and the exports in other processes do.
    """

    def export(checkpoint: Checkpoint, path: Path, batch: BatchRange) -> None:
        digest = hashlib.sha256(repr((checkpoint.info, batch)).encode())
        for name, tensor in checkpoint.weights.items():
            digest.update(name.encode() + tensor.double().numpy().tobytes())
        kept = make_once(
            f"graph-{digest.hexdigest()[:16]}.onnx", lambda kept: export_onnx(checkpoint, kept, batch)
        )
        onnx.save_model(onnx.load_model(str(kept)), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_engine_builder, "export_onnx", export)
        yield


@pytest.fixture(scope="session")
def checkpoint_path(make_once: MakeOnce) -> Path:
    """A small network with random weights, its batch norms past their initial state."""
    return make_once("small.safetensors", _save_small_checkpoint)


def _save_small_checkpoint(path: Path) -> None:
    torch.manual_seed(3)
    network = LNLAttenNet(SMALL).train()
    for _ in range(3):
        network(torch.randn(8, 3, 48, 48) * 2 + 0.5)
    with torch.no_grad():
        # Spread the answers: logits near zero would agree within any tolerance.
        network.fusion.weight.mul_(30)
        network.nonlocal_attention.score.weight.mul_(20)
    info = CheckpointInfo(
        config=SMALL,
        class_names=EXPRESSIONS,
        preprocessing=Preprocessing(size=48),
        provenance={"data": "none"},
    )
    save_checkpoint(path, network, info)


@pytest.fixture(scope="session")
def bundle_path(checkpoint_path: Path, make_once: MakeOnce) -> Path:
    """A bundle of that network for the runtimes that build in seconds, batches 1 to 8; not to be changed."""
    from lnlattennet.bundle._export_options import ExportOptions, SelectionOptions, VerificationOptions
    from lnlattennet.export._pipeline import export_engine

    def export(path: Path) -> None:
        options = ExportOptions(
            checkpoint=checkpoint_path,
            output=path,
            batch=BatchRange(1, 4, 8),
            backends=("onnxruntime", "openvino", "tensorrt"),
            verification=VerificationOptions(faces=32),
            selection=SelectionOptions(rounds=10),
        )
        export_engine(options)

    return make_once("small", export)


@pytest.fixture
def bundle_copy(bundle_path: Path, tmp_path: Path) -> Path:
    """A copy of that bundle to be changed."""
    return Path(shutil.copytree(bundle_path, tmp_path / "copy"))


@pytest.fixture(scope="session")
def small_onnx(checkpoint_path: Path, make_once: MakeOnce) -> Path:
    """The small network with its fused attention as a function; batches 1 to 8."""
    return make_once(
        "model-function.onnx",
        lambda path: export_onnx(load_checkpoint(checkpoint_path), path, BatchRange(1, 4, 8)),
    )


@pytest.fixture(scope="session")
def small_standard(small_onnx: Path) -> onnx.ModelProto:
    """The same in standard operators, as `model.onnx` is; not to be changed."""
    return inlined(onnx.load_model(str(small_onnx)))


@pytest.fixture(scope="session")
def triton_server() -> Iterator[TritonServer]:
    """The tritonserver of this machine; `make` installs one, so a missing one is a failure."""
    with find_server() as server:
        yield server


Serve = Callable[..., AbstractContextManager[TritonProcess]]


@pytest.fixture(scope="session")
def serve(triton_server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Run a server of a bundle for the length of a `with` block."""

    @contextmanager
    def served(bundle: Path, topology: Topology | None = None) -> Iterator[TritonProcess]:
        folder = tmp_path_factory.mktemp("served") / "deployment"
        deployment = deploy(Bundle.load(bundle), folder, triton_server.backends, topology=topology)
        with TritonProcess(triton_server, deployment, choose_endpoints("127.0.0.1", 0, 0, 0)) as process:
            yield process

    return served


@pytest.fixture(scope="session")
def server(bundle_path: Path, serve: Serve) -> Iterator[TritonProcess]:
    """A running server with the session's bundle."""
    with serve(bundle_path) as process:
        yield process


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo what a command's logging changed: its handler writes to the stderr of its own test."""
    logger = logging.getLogger("lnlattennet")
    state = (logger.handlers[:], logger.level, logger.propagate)
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = state[0], state[2]
        logger.setLevel(state[1])


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The same for a whole test."""
    with restored_logging():
        yield


@pytest.fixture
def cudnn_settings() -> Iterator[set[tuple[bool, bool]]]:
    """Whether cuDNN is used, and whether it may round to TF32, collected at every pass of a network."""
    seen: set[tuple[bool, bool]] = set()

    def note(module: torch.nn.Module, inputs: object, outputs: object) -> None:
        if isinstance(module, LNLAttenNet):
            seen.add((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))

    hook = torch.nn.modules.module.register_module_forward_hook(note)
    yield seen
    hook.remove()
