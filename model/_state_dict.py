"""State dicts: names and tensors as the network has them, whatever wrapped it when they were taken."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

import torch
from torch import Tensor, nn

from lnlattennet.errors import CheckpointError

_INSERTED = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts that wrappers put into names, wherever they wrap: DataParallel, its relatives and AveragedModel;
``torch.compile``; FSDP; activation checkpointing."""

_COUNTERS = {"n_averaged"}
"""Buffers of wrappers that are no weights: AveragedModel's count of updates."""

_BATCH_COUNT = "num_batches_tracked"
"""Batch norms' count of training steps, which no answer needs; tools that average or convert leave it out."""

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def unwrapped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the traces of wrappers and of pruning.

    Args:
        state: as a file or a module has it.
        expected: the state dict of the network that is in it.

    Raises:
        CheckpointError: it holds the network more than once.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        short = ".".join(part for part in name.split(".") if part not in _INSERTED)
        if short in plain:
            raise CheckpointError(f"it holds {short!r} twice, with and without a wrapper; keep one of them")
        plain[short] = tensor
    prefix = _prefix(plain, next(iter(expected)))
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in plain.items()
        if name.rpartition(".")[2] not in _COUNTERS
    }
    for name in set(expected) - set(weights):
        if {f"{name}_orig", f"{name}_mask"} <= set(weights):
            weights[name] = weights.pop(f"{name}_orig") * weights.pop(f"{name}_mask")
        elif name.endswith(f".{_BATCH_COUNT}"):
            weights[name] = torch.zeros_like(expected[name], device="cpu")
    return weights


def network_weights(network: nn.Module, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy the weights that a network computes with, also of compiled, pruned or parametrized parts.

    Args:
        network: any module that has these tensors, however wrapped.
        expected: name -> a tensor of the same shape.

    Raises:
        CheckpointError: they are not all there, or others are.
    """
    weights = unwrapped(network.state_dict(), expected)
    for name in set(expected) - set(weights):
        owner, _, own_name = name.rpartition(".")
        sources = [key for key in weights if key.startswith(f"{owner}.parametrizations.{own_name}.")]
        if sources:
            weights[name] = attrgetter(name)(network)
            for key in sources:
                del weights[key]
    check_weights(expected, weights)
    # Copies: tied tensors share memory, which a safetensors file cannot.
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }


def check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that ``found`` has the tensors of ``expected``, with numbers that can be weights.

    Raises:
        CheckpointError: the first tensor that is missing, too many, of another shape or type, or not finite.
    """
    for name, tensor in expected.items():
        if name not in found:
            raise CheckpointError(
                f"its config needs a tensor {name!r} {list(tensor.shape)}, which is missing"
            )
        shape = list(found[name].shape)
        if shape != list(tensor.shape):
            raise CheckpointError(f"its config needs {name!r} to be {list(tensor.shape)}, but it is {shape}")
        if tensor.is_floating_point():
            _check_numbers(name, found[name])
        elif found[name].dtype.is_complex or found[name].dtype is torch.bool:
            raise CheckpointError(f"tensor {name!r} must hold an integer, but is {_dtype(found[name])}")
    extra = sorted(set(found) - set(expected))
    if extra:
        raise CheckpointError(f"it holds a tensor {extra[0]!r} that its config does not know")


def _check_numbers(name: str, tensor: Tensor) -> None:
    if tensor.dtype not in _FLOATS or tensor.layout is not torch.strided or tensor.is_meta:
        kind = "has no values" if tensor.is_meta else f"is {_dtype(tensor)}"
        raise CheckpointError(
            f"tensor {name!r} {kind}; weights are float32, float64, float16 or bfloat16, dense: a quantized "
            "network is none that can be trained or exported, so save the one that it was made from"
        )
    values = tensor.detach().to(torch.float32)
    if not torch.isfinite(values).all():
        raise CheckpointError(f"tensor {name!r} holds values that are not finite in float32; train it again")
    if name.endswith("running_var") and (values < 0).any():
        raise CheckpointError(f"tensor {name!r} holds a variance below 0, {values.min():g}; train it again")


def _prefix(names: Mapping[str, Tensor], anchor: str) -> str:
    """Return what stands before the network's names; ``anchor`` is one of them."""
    found = sorted(name[: -len(anchor)] for name in names if f".{name}".endswith(f".{anchor}"))
    if len(found) > 1:
        several = " and ".join(repr(prefix) for prefix in found)
        raise CheckpointError(
            f"it holds {len(found)} networks, with the prefixes {several}; keep one of them"
        )
    return found[0] if found else ""


def _dtype(tensor: Tensor) -> str:
    layout = "" if tensor.layout is torch.strided else f" ({tensor.layout})"
    return str(tensor.dtype).removeprefix("torch.") + layout.replace("torch.", "")
