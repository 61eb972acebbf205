"""One pass over a batch that can be run again with one layer changed: what comes before that layer is remembered.

Knows plain and harmonic convolutions and batch norms; everything else of the network runs again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.compression.candidates import Weights
from harmonic.compression.refit import Images, move_statistics, outer_norms
from harmonic.layers import SpectralConv2d


class Replay:
    """A network's pass over a batch. The network is as it was whenever no method runs."""

    def __init__(self, network: nn.Module, batch: Images) -> None:
        self._network, self._batch = network, batch
        norms = list(outer_norms(network).values())
        self._layers: list[nn.Module] = []  # in the order in which they run; twice, where they run twice
        self._values: list[Tensor] = []  # what a convolution gave, what a norm was given
        with ExitStack() as hooks, torch.no_grad():
            for norm in norms:
                hooks.enter_context(_hook(norm.register_forward_pre_hook(self._was_given)))
            for module in network.modules():
                if isinstance(module, nn.Conv2d | SpectralConv2d):
                    hooks.enter_context(_hook(module.register_forward_hook(self._gave)))
            self.answers = _answers(network(batch))

    def with_weights(self, layer: SpectralConv2d, weights: Weights, move_norms: bool) -> Float[Tensor, "n classes"]:
        """The answers, as log-probabilities, with other weights of a layer. move_norms: the statistics of the norms
        behind it move by the difference on this batch."""
        at = self._layers.index(layer)
        with torch.no_grad(), ExitStack() as undo:
            undo.enter_context(_weights(layer, weights))
            for earlier, values in zip(self._layers[:at], self._values, strict=False):
                if not isinstance(earlier, nn.BatchNorm2d) and self._layers.count(earlier) == 1:
                    undo.enter_context(_forward(earlier, values))
            for later, values in zip(self._layers[at:], self._values[at:], strict=True):
                if move_norms and isinstance(later, nn.BatchNorm2d) and self._layers.count(later) == 1:
                    undo.enter_context(_statistics(later))
                    hook = later.register_forward_pre_hook(partial(_moved, values))
                    undo.enter_context(_hook(hook))
            return _answers(self._network(self._batch))

    def _gave(self, layer: nn.Module, _: Any, output: Tensor) -> None:
        self._layers.append(layer)
        self._values.append(output.clone())  # what follows may write into it

    def _was_given(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._layers.append(layer)
        self._values.append(inputs[0].clone())


def _answers(logits: Tensor) -> Tensor:
    return F.log_softmax(logits.double(), dim=1).cpu()


def _moved(was: Tensor, norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
    move_statistics(norm, inputs, [was])


@contextmanager
def _hook(handle: "torch.utils.hooks.RemovableHandle") -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _weights(layer: SpectralConv2d, weights: Weights) -> Iterator[None]:
    pairs = [(p, new) for p, new in zip((layer.weight, layer.bias), weights, strict=True) if p is not None]
    kept = [(parameter, parameter.detach().clone()) for parameter, _ in pairs]
    try:
        for parameter, new in pairs:
            if new is not None:
                parameter.copy_(new.reshape(parameter.shape))
        yield
    finally:
        for parameter, old in kept:
            parameter.copy_(old)


@contextmanager
def _forward(layer: nn.Module, values: Tensor) -> Iterator[None]:
    """The layer gives these values, whatever it is given."""
    remembered: Callable[[Any], Tensor] = lambda _: values.clone()  # noqa: E731
    layer.forward = remembered
    try:
        yield
    finally:
        del layer.forward


@contextmanager
def _statistics(norm: nn.BatchNorm2d) -> Iterator[None]:
    """The norm's statistics are as before afterwards."""
    kept = [(buffer, buffer.clone()) for buffer in norm.buffers()]
    try:
        yield
    finally:
        for buffer, old in kept:
            buffer.copy_(old)
