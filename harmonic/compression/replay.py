"""One pass over a batch that can be run again with one layer changed: what comes before that layer is remembered.

What that is, the network's `Way` says; everything else of the network runs again.
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
from harmonic.compression.norms import Statistics, move_statistics, statistics
from harmonic.compression.refit import Images
from harmonic.compression.way import Way
from harmonic.layers import SpectralConv2d


class Replay:
    """A network's pass over a batch. The network is as it was whenever no method runs."""

    def __init__(self, network: nn.Module, batch: Images, way: Way) -> None:
        self._network, self._batch, self._way = network, batch, way
        self._given: dict[nn.Module, Statistics] = {}  # of what a norm was given
        self._values: dict[nn.Module, Tensor] = {}  # what a part of the network gave
        with ExitStack() as hooks, torch.no_grad():
            for norm in way.norms:
                hooks.callback(norm.register_forward_pre_hook(self._was_given).remove)
            for module in way.needed:
                hooks.callback(module.register_forward_hook(self._gave).remove)
            self.answers = _answers(network(batch))

    def with_weights(self, layer: SpectralConv2d, weights: Weights, move_norms: bool) -> Float[Tensor, "n classes"]:
        """The answers, as log-probabilities, with other weights of a layer. move_norms: the statistics of the norms
        behind it move by the difference on this batch."""
        with torch.no_grad(), ExitStack() as undo:
            undo.enter_context(_weights(layer, weights))
            for earlier in self._way.before[layer]:
                undo.enter_context(_forward(earlier, self._values[earlier], earlier in self._way.written))
            for norm in self._way.behind[layer] if move_norms else ():
                undo.enter_context(_statistics(norm))
                undo.callback(norm.register_forward_pre_hook(partial(_moved, self._given[norm])).remove)
            return _answers(self._network(self._batch))

    def _gave(self, module: nn.Module, _: Any, output: Tensor) -> None:
        self._values[module] = output.clone() if module in self._way.written else output

    def _was_given(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._given[norm] = statistics(inputs)


def _answers(logits: Tensor) -> Tensor:
    return F.log_softmax(logits.double(), dim=1).cpu()


def _moved(was: Statistics, norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
    move_statistics(norm, statistics(inputs), was)


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
def _forward(module: nn.Module, values: Tensor, written: bool) -> Iterator[None]:
    """The module gives these values, whatever it is given; new ones each time where something writes into them."""
    remembered: Callable[..., Tensor] = lambda *_, **__: values.clone() if written else values  # noqa: E731
    module.forward = remembered
    try:
        yield
    finally:
        del module.forward


@contextmanager
def _statistics(norm: nn.BatchNorm2d) -> Iterator[None]:
    """The norm's statistics are as before afterwards."""
    kept = [(buffer, buffer.clone()) for buffer in norm.buffers()]
    try:
        yield
    finally:
        for buffer, old in kept:
            buffer.copy_(old)
