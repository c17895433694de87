"""Network as torch's own backends run it: one precision inside, float32 outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.runtimes._precision import PRECISIONS, PrecisionPlan

if TYPE_CHECKING:
    from lnlattennet.runtimes._base import Arrays

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PRECISION_OF = {dtype: precision for precision, dtype in DTYPES.items()}

_aten = torch.ops.aten
_LAYERS: dict[Any, tuple[int, int]] = {
    # Operator -> (position of an argument that has its precision, layers in it).
    _aten.convolution.default: (1, 1),
    _aten.mm.default: (1, 1),
    _aten.addmm.default: (2, 1),
    _aten.bmm.default: (1, 1),
    _aten.baddbmm.default: (2, 1),
    # The local queries, and Q, K, V and the scores of the non-local attention.
    torch.ops.lnlattennet.local_nonlocal_attention.default: (1, 5),
}


class EngineNetwork(nn.Module):
    """Image [B, 3, S, S] float32 -> logits, region weights and region affinity, all float32."""

    def __init__(self, network: LNLAttenNet) -> None:
        super().__init__()
        self.network = network
        self.dtype = network.fusion.weight.dtype

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute in the precision of the weights, in the layout that convolutions are fastest in."""
        image = image.to(dtype=self.dtype, memory_format=torch.channels_last)
        return tuple(output.float() for output in self.network(image))


def engine_network(network: LNLAttenNet, dtype: torch.dtype, device: str) -> EngineNetwork:
    """Move ``network`` to ``device`` with its weights in ``dtype``, ready to be run or compiled."""
    network = network.to(device=device, dtype=dtype).requires_grad_(False)
    return EngineNetwork(network.to(memory_format=torch.channels_last)).eval()  # type: ignore[call-overload]


def device_here() -> str:
    """Return "cuda" where torch can use a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def unsupported_precisions(runtime: str, plan: PrecisionPlan) -> str | None:
    """Return why ``runtime`` cannot give the plan here; None if its only precision is one that it has."""
    device = device_here()
    known = [name for name in DTYPES if device == "cuda" or name != "fp16"]
    if len(plan.precisions) == 1 and plan.precision in known:
        return None
    place = "a GPU" if device == "cuda" else "the CPU"
    asked = " and ".join(name for name in PRECISIONS if name in plan.precisions)
    return (
        f"{runtime} on {place} computes the whole network in one precision, {' or '.join(known)}; "
        f"the plan has {asked}"
    )


def compute_capabilities(device: str) -> list[str]:
    """Return the GPU's compute capability, such as ["9.0"]; nothing for the CPU."""
    return ["{}.{}".format(*torch.cuda.get_device_capability())] if device == "cuda" else []


def release() -> str:
    """Return torch's version without its build, such as "2.13.0"."""
    return metadata.version("torch").partition("+")[0]


def layer_precisions(network: EngineNetwork, image_size: int) -> dict[str, int]:
    """Run one black image and return precision -> how many convolutions and matrix products ran in it."""
    image = torch.zeros(1, 3, image_size, image_size, device=network.network.fusion.weight.device)
    # In inference mode torch does not decompose convolutions and linear layers into what is counted.
    with torch.no_grad(), _LayerCounter() as counter:
        network(image)
    return dict(counter.layers)


def run_on_arrays(
    network: Callable[[Tensor], Any], device: str, inputs: Mapping[str, NDArray[np.float32]]
) -> Arrays:
    """Call a network whose inputs and outputs are tensors on ``device`` with arrays."""
    with torch.inference_mode():
        # A copy: the array may be read-only, which torch's views of arrays warn of.
        outputs = network(torch.tensor(inputs[INPUT_NAME], device=device))
        return {name: output.cpu().numpy() for name, output in zip(OUTPUT_NAMES, outputs, strict=True)}


def use_threads(threads: int) -> None:
    """Set torch's threads per operator: one number for the process, so the last engine decides for all."""
    torch.set_num_threads(threads or min(torch.get_num_threads(), usable_cpus()))


class _LayerCounter(TorchDispatchMode):
    """Counts layers by the type of what they multiply."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _LAYERS:
            position, layers = _LAYERS[func]
            self.layers[_PRECISION_OF[args[position].dtype]] += layers
        return func(*args, **(kwargs or {}))
