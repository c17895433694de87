"""Networks in wrappers: what is saved can be loaded and answers alike, or is refused when it is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from lnlattennet.errors import CheckpointError, ConfigError
from lnlattennet.model._checkpoint import METADATA_KEY, load_checkpoint, save_checkpoint
from lnlattennet.model._network import LNLAttenNet

Wrap = Callable[[LNLAttenNet], nn.Module]
IMAGE = torch.linspace(-1, 1, 2 * 3 * 48 * 48).reshape(2, 3, 48, 48)


def pruned(network: LNLAttenNet) -> nn.Module:
    prune.l1_unstructured(network.fusion, "weight", 0.5)  # type: ignore[no-untyped-call]
    prune.random_unstructured(network.nonlocal_head, "bias", 0.5)  # type: ignore[no-untyped-call]
    return network


def pruned_and_trained_on(network: LNLAttenNet) -> nn.Module:
    """The masked tensor is computed at the next call only."""
    pruned(network)
    with torch.no_grad():
        network.fusion.get_parameter("weight_orig").mul_(2)
    return network


def normed(network: LNLAttenNet) -> nn.Module:
    parametrizations.weight_norm(network.fusion)
    parametrizations.orthogonal(network.nonlocal_attention.query)
    return network


def with_tied_weights(network: LNLAttenNet) -> nn.Module:
    network.nonlocal_head.bias = network.fusion.bias
    return network


def compiled_within(network: LNLAttenNet) -> nn.Module:
    network.unet = torch.compile(network.unet)  # type: ignore[assignment]
    network.fusion = nn.DataParallel(network.fusion)  # type: ignore[assignment]
    return network


WRAPPERS: dict[str, Wrap] = {
    "plain": lambda network: network,
    "compiled": lambda network: cast(nn.Module, torch.compile(network)),
    "DataParallel": nn.DataParallel,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "both": lambda network: torch.optim.swa_utils.AveragedModel(nn.DataParallel(network)),
    "Sequential": nn.Sequential,
    "pruned": pruned,
    "pruned and trained on": pruned_and_trained_on,
    "parametrized": normed,
    "tied": with_tied_weights,
    "compiled within": compiled_within,
    "bfloat16": lambda network: network.to(torch.bfloat16),
    "float64": lambda network: network.to(torch.float64),
}


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_is_saved_can_be_loaded(checkpoint_path: Path, tmp_path: Path, wrap: Wrap) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    network = wrap(checkpoint.network()).eval()
    save_checkpoint(tmp_path / "saved.safetensors", network, checkpoint.info)
    again = load_checkpoint(tmp_path / "saved.safetensors")
    assert again.info == checkpoint.info
    # Compiling would take a minute, and is not what is tested.
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        expected = network.float()(IMAGE)
    for first, second in zip(expected, again.network()(IMAGE), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


State = dict[str, Tensor]


def below(prefix: str) -> Callable[[State], State]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


PREFIXES = ("module.", "_orig_mod.", "network.", "model.", "ema_model.module.", "_orig_mod.module.")
STATES: dict[str, Callable[[State], State]] = {
    **{prefix: below(prefix) for prefix in PREFIXES},
    "module. and a count of updates": lambda state: {
        **below("module.")(state),
        "n_averaged": torch.tensor(7),
    },
    "network. and a count below it": lambda state: {
        **below("network.module.")(state),
        "network.n_averaged": torch.tensor(7),
    },
    "compiled U-Net": lambda state: {
        name.replace("unet.", "unet._orig_mod."): value for name, value in state.items()
    },
    "pruned": lambda state: {
        **{name: value for name, value in state.items() if name != "fusion.weight"},
        "fusion.weight_orig": state["fusion.weight"],
        "fusion.weight_mask": torch.ones_like(state["fusion.weight"]),
    },
}


@pytest.mark.parametrize("rename", STATES.values(), ids=STATES)
@pytest.mark.parametrize("pickled", [False, True])
def test_prefixes_of_wrappers_are_taken_off(
    checkpoint_path: Path,
    tmp_path: Path,
    rename: Callable[[State], State],
    pickled: bool,
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    state, text = rename(checkpoint.weights), checkpoint.info.to_json()
    path = tmp_path / "wrapped"
    if pickled:
        torch.save({"state_dict": state, METADATA_KEY: text}, path)
    else:
        save_file(state, path, metadata={METADATA_KEY: text})
    again = load_checkpoint(path, allow_pickle=pickled)
    assert set(again.weights) == set(checkpoint.weights)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in checkpoint.weights.items())


def test_counts_of_training_steps_may_be_missing(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    state = {name: value for name, value in checkpoint.weights.items() if "num_batches" not in name}
    assert len(state) < len(checkpoint.weights)
    path = tmp_path / "without.safetensors"
    save_file(state, path, metadata={METADATA_KEY: checkpoint.info.to_json()})
    with torch.inference_mode():
        again = load_checkpoint(path).network().eval()(IMAGE)
        for first, second in zip(checkpoint.network().eval()(IMAGE), again, strict=True):
            assert torch.equal(first, second)


def refuse(path: Path, state: State, text: str) -> str:
    save_file(state, path, metadata={METADATA_KEY: text})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    return str(caught.value)


def test_two_networks_in_a_file_are_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    text, path = checkpoint.info.to_json(), tmp_path / "two.safetensors"
    twins = {f"ema_model.{name}": value.clone() for name, value in checkpoint.weights.items()}
    both = {f"network.{name}": value for name, value in checkpoint.weights.items()} | twins
    assert "2 networks, with the prefixes 'ema_model.' and 'network.'; keep one" in refuse(path, both, text)
    twins = {f"module.{name}": value.clone() for name, value in checkpoint.weights.items()}
    assert "twice, with and without a wrapper" in refuse(path, checkpoint.weights | twins, text)


@pytest.mark.parametrize(
    "dtype",
    [
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.complex64,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    ],
)
@pytest.mark.parametrize("all_of_them", [True, False])
def test_weights_of_another_type_are_refused(
    checkpoint_path: Path, tmp_path: Path, dtype: torch.dtype, all_of_them: bool
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    state = {
        name: tensor.to(dtype)
        if tensor.is_floating_point() and (all_of_them or name == "fusion.bias")
        else tensor
        for name, tensor in checkpoint.weights.items()
    }
    message = refuse(tmp_path / "other.safetensors", state, checkpoint.info.to_json())
    assert f" is {str(dtype).removeprefix('torch.')}; weights are float32, float64, float16 or" in message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("fusion.bias", float("inf"), "holds values that are not finite"),
        ("fusion.bias", 1e300, "holds values that are not finite in float32"),
        ("running_var", -0.5, "holds a variance below 0, -0.5"),
    ],
)
def test_numbers_that_no_runtime_can_use_are_refused(
    checkpoint_path: Path, tmp_path: Path, name: str, value: float, reason: str
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    name = next(found for found in checkpoint.weights if found.endswith(name))
    state = load_file(checkpoint_path)
    state[name] = state[name].double()
    state[name].view(-1)[0] = value
    message = refuse(tmp_path / "odd.safetensors", state, checkpoint.info.to_json())
    assert f"'{name}' {reason}" in message


def test_a_module_that_is_no_such_network_is_refused_when_it_is_saved(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    path = tmp_path / "new.safetensors"
    with pytest.raises(ConfigError, match="this Linear has 0"):
        save_checkpoint(path, nn.Linear(2, 2), checkpoint.info)
    with pytest.raises(ConfigError, match="this ModuleList has 2"):
        save_checkpoint(path, nn.ModuleList([checkpoint.network(), checkpoint.network()]), checkpoint.info)
    for change, reason in (
        (
            lambda network: setattr(network, "extra", nn.Linear(1, 1)),
            "'extra.bias' that its config does not know",
        ),
        (
            lambda network: network.fusion.bias.data.fill_(torch.nan),
            "'fusion.bias' holds values that are not",
        ),
        (lambda network: network.to("meta"), "has no values"),
        (lambda network: setattr(network, "fusion", nn.Identity()), "'fusion.weight' .* which is missing"),
    ):
        network = checkpoint.network()
        change(network)
        with pytest.raises(CheckpointError, match=reason):
            save_checkpoint(path, network, checkpoint.info)
    assert not path.exists()


def changed(network: LNLAttenNet, name: str, module: nn.Module) -> LNLAttenNet:
    setattr(network, name, module)
    return network


def with_nan(network: LNLAttenNet) -> LNLAttenNet:
    nn.init.constant_(network.fusion.bias, torch.nan)
    return network


@pytest.mark.parametrize("network", [None, {}, "network.pt"])
def test_what_is_no_module_is_refused(checkpoint_path: Path, tmp_path: Path, network: Any) -> None:
    with pytest.raises(ConfigError, match=f"made from an LNLAttenNet, got {type(network).__name__}"):
        save_checkpoint(tmp_path / "out.safetensors", network, load_checkpoint(checkpoint_path).info)
