"""Checkpoints of the original harmonic-networks code (and of torchvision and timm) become networks of this package.

Only names and shapes differ: banks and windows are left out, since they are computed, bit for bit the same; a spectral
layer's weight may have four or five dimensions, in one order of elements. What does not fit is an error that says so.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from harmonic import zoo
from harmonic.bundles.bundle import load_strictly
from harmonic.bundles.fourier_checkpoints import is_original, load_original
from harmonic.errors import BundleError, first_line
from harmonic.layers import BandNormConv2d, HammingConv2d, HarmonicConv2d
from harmonic.zoo import FourierNet
from harmonic.zoo.hubs import WITH_AUXILIARY_HEADS
from harmonic.zoo.wrn import WideResNet

State = Mapping[str, Tensor]
_WRAPPERS = ("params", "state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "model.")
_HEADS = r"(fc|head|linear|classifier)"
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
_WRN_NAMES = (
    (r"^(harmonic0\.conv|conv0)$", "root.weight"),
    (r"^harmonic0\.bn\.", "root.norm."),
    (r"^group(\d+)\.block(\d+)\.", r"groups.\1.\2."),
    (r"\.(?:harmonic|conv)([01])(\.conv)?$", r".conv\1.weight"),
    (r"\.bn([01])\.", r".norm\1."),
    (r"\.convdim$", ".shortcut.weight"),
    (r"^bn\.", "norm."),
    (r"^fc\.", "head."),
)
_LAYER_NAMES = ((r"(^|\.)harm(\d)\.", r"\1conv\2."),)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: a safetensors file, or one of torch's, read without executing anything.

    A checkpoint that keeps its weights under "params", "state_dict" or "model" is unwrapped. Raises BundleError for a
    file that is missing, damaged, or holds something else.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}).") from error
    try:
        found = load_file(path) if path.suffix == ".safetensors" else _torch_file(path)
    except Exception as error:  # the readers raise anything at all for a damaged file
        raise BundleError(f"{path}: damaged, or it holds more than tensors ({first_line(error)}).") from error
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found or not all(map(_is_named_tensor, found.items())):
        raise BundleError(f"{path}: wanted a state dict, names with tensors. Save the model's state_dict().")
    return dict(found)


def import_reference(
    state_dict: State, architecture: str, /, *, new_head: int | None = None, **arguments: Any
) -> nn.Module:
    """A network with a checkpoint's weights, in evaluation mode.

    state_dict: the original code's names (with or without `module.`, banks and windows; the scale-equivariant code's
    complex ones too), or those of the architecture itself.
    architecture, arguments: as `zoo.create`; the number of classes is that of the last layer's weight.
    new_head: classes of an untrained last layer, for a checkpoint that has none.
    Raises BundleError with all that is missing, and under the checkpoint's own names all that is left over, of the
    wrong shape, or meant for one place.
    """
    source = f"The checkpoint for {architecture}"
    own_names = _without_prefix(state_dict)
    if architecture.removeprefix("torchvision/") in WITH_AUXILIARY_HEADS:  # built without them
        own_names = {name: own for name, own in own_names.items() if not name.startswith(_AUXILIARY)}
    model = zoo.create(architecture, _classes(state_dict, source, new_head), **arguments)
    if isinstance(model, FourierNet) and is_original(own_names):
        state = {name: state_dict[own] for name, own in own_names.items()}
        return load_original(state, model).eval()
    origins = _origins(own_names, model, source)
    state = _reshaped({name: state_dict[own] for name, own in origins.items()}, model)
    _check_windows({name: state_dict[own] for name, own in own_names.items()}, model, source)
    if not has_head(state_dict):
        state = {name: t for name, t in model.state_dict().items() if re.match(rf"{_HEADS}\.", name)} | state
    load_strictly(model, state, source=source, origins=origins)
    return model.eval()


def has_head(state: State) -> bool:
    """Whether a checkpoint has the weight of a last layer, and so a number of classes."""
    return _head(state) is not None


def _torch_file(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_named_tensor(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _without_prefix(state: State) -> dict[str, str]:
    """The checkpoint's own names, each under what it is without the prefix that all of them may have."""
    prefix = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)), "")
    return {name.removeprefix(prefix): name for name in state}


def _classes(state: State, source: str, new_head: int | None) -> int:
    last = _head(state)
    if last is not None:
        return int(last.shape[0])
    if new_head is None:
        raise BundleError(
            f"{source} has no last layer's weight, so no number of classes. Give their names, and the network gets "
            "an untrained last layer: --classes FILE."
        )
    return new_head


def _head(state: State) -> Tensor | None:
    return next((tensor for name, tensor in reversed(list(state.items())) if _is_head(name, tensor)), None)


def _is_head(name: str, tensor: Tensor) -> bool:
    """A linear layer's weight, or the 1x1 convolution that some networks end with."""
    known = r"(^|\.)(fc|head|linear|classifier(\.\d+)?|head\.fc|head\.mlp\.5|res_dict\.6)\.weight$"
    ends = re.search(known, name) is not None
    return ends and tensor.ndim in (2, 4)


def _origins(own_names: Mapping[str, str], model: nn.Module, source: str) -> dict[str, str]:
    """The checkpoint's own name for each of the network's, banks left out; BundleError for two that become one."""
    rules = _WRN_NAMES if isinstance(model, WideResNet) else _LAYER_NAMES
    found: dict[str, list[str]] = {}
    for name, own in own_names.items():
        if not _is_bank(name) and not _is_window(name, model):
            found.setdefault(_inner_norm(_renamed(name, rules), model), []).append(own)
    shared = [f"{' and '.join(sorted(own))} for {name}" for name, own in sorted(found.items()) if len(own) > 1]
    if shared:
        raise BundleError(
            f"{source} has more than one tensor for the same place, {len(shared)} in all: {', '.join(shared)}. "
            "Leave one of each."
        )
    return {name: own for name, (own,) in found.items()}


def _is_bank(name: str) -> bool:
    return re.search(r"(^|\.)dct[^.]*$", name) is not None


def _is_window(name: str, model: nn.Module) -> bool:
    """Only where the network has the window: elsewhere it would be lost, so there it is left over."""
    layer, _, last = name.rpartition(".")
    return last == "hamming2d" and isinstance(_submodule(model, layer), HammingConv2d)


def _check_windows(state: State, model: nn.Module, source: str) -> None:
    """BundleError for a window other than the network's: its weights would mean something else."""
    for name, tensor in state.items():
        layer = _submodule(model, name.removesuffix(".hamming2d")) if _is_window(name, model) else None
        if isinstance(layer, HammingConv2d) and not (
            tensor.shape == layer.window.shape and torch.allclose(tensor.float(), layer.window, atol=1e-5)
        ):
            raise BundleError(f"{source}: the window {name} has other values than this network's. Import its own kind.")


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _inner_norm(name: str, model: nn.Module) -> str:
    """The original calls a band norm's norm `bn`."""
    layer, found, rest = name.rpartition(".bn.")
    if found and isinstance(_submodule(model, layer), BandNormConv2d):
        return f"{layer}.norm.{rest}"
    return name


def _reshaped(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Spectral weights in the dimensions of their layer, and the batch counters that the original leaves out."""
    counters = {name: tensor for name, tensor in model.state_dict().items() if name.endswith("num_batches_tracked")}
    shaped = dict(state)
    for name, tensor in state.items():
        layer = _submodule(model, name.removesuffix(".weight"))
        if isinstance(layer, HarmonicConv2d | BandNormConv2d) and _same_elements(tensor, layer.weight):
            shaped[name] = tensor.reshape(layer.weight.shape)
    return {**{name: torch.zeros_like(tensor) for name, tensor in counters.items()}, **shaped}


def _same_elements(tensor: Tensor, weight: Tensor) -> bool:
    """weight4[o, n * freq + f] is weight5[o, n, f, 0, 0]: the same elements in the same order, output by output."""
    return (
        tensor.ndim in (4, 5) and tuple(tensor.shape[-2:]) == (1, 1)
        and tensor.shape[0] == weight.shape[0] and tensor.numel() == weight.numel()
    )  # fmt: skip


def _submodule(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None
