"""Fold a network for inference: spectral layers become plain convolutions, and norms go into the convolution before
them.

Exact algebra, done in float64; the answers stay the same up to rounding, borders included. The input module is never
changed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from export.errors import FoldError
from harmonic.conversion import as_plain, put
from harmonic.errors import SpectrumError


@runtime_checkable
class Exportable(Protocol):
    """A network with another form for inference."""

    def for_export(self) -> nn.Module:
        """The same answers in evaluation, without operators that ONNX or a GPU lacks; a new module."""


def fold(model: nn.Module) -> nn.Module:
    """Return a new network in evaluation mode without spectral layers and without norms that a convolution can take up.

    A spectral layer is replaced by what its `as_conv2d()` returns; a network that offers `for_export()` by that.
    Raises FoldError for a spectral layer without a plain form (a norm without running statistics).
    """
    try:
        folded = as_plain(model.for_export() if isinstance(model, Exportable) else model)
    except SpectrumError as error:
        raise FoldError(str(error)) from error
    for conv_name, norm_name in _conv_norm_pairs(folded):
        _absorb(folded, conv_name, norm_name)
    return folded


def _conv_norm_pairs(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of (convolution, norm) where the norm is all that reads the convolution, and each is used once. A maximum
    may stand between the two.

    A network whose flow cannot be traced keeps its norms: ONNX Runtime folds those when it loads the graph.
    """
    try:
        graph = fx.Tracer().trace(model)
    except Exception:  # tracing runs the model's own code, which may raise anything at all
        return
    modules = dict(model.named_modules())
    uses = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        before = _input(node)
        if isinstance(norm, nn.BatchNorm2d) and before is not None and _is_maximum(before, modules) and _rises(norm):
            before = _input(before) if len(before.users) == 1 else None
        if not isinstance(norm, nn.BatchNorm2d) or before is None or before.op != "call_module":
            continue
        conv = modules[str(before.target)]
        alone = len(before.users) == 1 and uses[node.target] == uses[before.target] == 1
        if alone and type(conv) is nn.Conv2d and norm.running_mean is not None:
            yield str(before.target), str(node.target)


def _input(node: fx.Node) -> fx.Node | None:
    return node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None


def _is_maximum(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.MaxPool2d)
    return node.op == "call_function" and node.target is F.max_pool2d


def _rises(norm: nn.BatchNorm2d) -> bool:
    """Whether the norm of a maximum is the maximum of the norm: no channel's scale is negative."""
    return norm.weight is None or bool((norm.weight >= 0).all())


def _absorb(model: nn.Module, conv_name: str, norm_name: str) -> None:
    """gamma (W x + b - mean) / sigma + beta is one convolution."""
    conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"{conv_name}, {norm_name}")
    mean, var, gamma, beta, bias = (
        _double_or(tensor, default, conv.out_channels)
        for tensor, default in (
            (norm.running_mean, 0.0),
            (norm.running_var, 1.0),
            (norm.weight, 1.0),
            (norm.bias, 0.0),
            (conv.bias, 0.0),
        )
    )
    scale = gamma / torch.sqrt(var + norm.eps)
    weight = conv.weight.detach()
    # New parameters, not new values in the old ones: another layer may share those.
    conv.weight = nn.Parameter((weight.double() * scale[:, None, None, None]).to(weight.dtype))
    conv.bias = nn.Parameter(((bias - mean) * scale + beta).to(weight.dtype))
    put(model, norm, nn.Identity())


def _double_or(tensor: Tensor | None, default: float, size: int) -> Tensor:
    return torch.full((size,), default, dtype=torch.float64) if tensor is None else tensor.detach().double()
