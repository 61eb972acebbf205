"""Which parts of a network have run before one of its layers does: what they gave need not be computed again.

Learned from one pass over one image. Knows modules alone: no cuts, no statistics.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from harmonic.compression.refit import Images


@dataclass(frozen=True, eq=False)
class Way:
    """The order of a pass. before: for each layer the parts that were done when it first ran, the largest alone, and of
    these what runs once. behind: for each layer the norms that run once, and after it. written: parts whose results
    something behind them writes into."""

    before: dict[nn.Module, list[nn.Module]]
    behind: dict[nn.Module, list[nn.BatchNorm2d]]
    written: set[nn.Module]

    @classmethod
    def of(
        cls, network: nn.Module, image: Images, layers: Collection[nn.Module], norms: Collection[nn.BatchNorm2d]
    ) -> Self:
        """Of these layers and norms of a network, those that run."""
        runs = _runs(network, image)
        first = {run.module: run for run in reversed(runs)}
        times = Counter(run.module for run in runs)
        once = [run for run in runs if times[run.module] == 1]
        ran = [layer for layer in layers if layer in first]
        return cls(
            {layer: _largest([run for run in once if run.repeats and run.done < first[layer].begun]) for layer in ran},
            {layer: [n for n in norms if times[n] == 1 and first[n].begun > first[layer].begun] for layer in ran},
            {run.module for run in once if run.written},
        )

    @property
    def needed(self) -> set[nn.Module]:
        """What has to be remembered of a pass."""
        return {module for modules in self.before.values() for module in modules}

    @property
    def norms(self) -> set[nn.BatchNorm2d]:
        """Those whose statistics may move."""
        return {norm for norms in self.behind.values() for norm in norms}


@dataclass(eq=False)
class _Run:
    """One run of a module. begun, done: when, counted in modules that begin or end. given, gave: tensors that went in
    and came out, each with how often it had been written into by then."""

    module: nn.Module
    begun: int
    given: "list[_Seen]"
    done: int = -1
    gave: "_Seen | None" = None
    wrote: bool = False

    @property
    def repeats(self) -> bool:
        """Whether its result can stand for it: it gave a tensor, and wrote into none that others may read."""
        return self.gave is not None and not self.wrote

    @property
    def written(self) -> bool:
        return self.gave is not None and self.gave.written


class _Seen:
    """A tensor as it was at some time."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._version = tensor, tensor._version

    @property
    def written(self) -> bool:
        """Whether anybody has written into it since."""
        return self._tensor._version != self._version


def _runs(network: nn.Module, image: Images) -> list[_Run]:
    """All runs of modules in a pass, as they began; without the whole network's own."""
    runs: list[_Run] = []
    times = itertools.count()
    begin, end = partial(_begin, runs, times), partial(_end, runs, times)
    with ExitStack() as hooks, torch.no_grad():
        for module in network.modules():
            if module is not network:
                hooks.callback(module.register_forward_pre_hook(begin, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(end).remove)
        network(image)
    return runs


def _begin(
    runs: list[_Run], times: Iterator[int], module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    given = [_Seen(each) for each in (*inputs, *named.values()) if isinstance(each, Tensor)]
    runs.append(_Run(module, next(times), given))


def _end(runs: list[_Run], times: Iterator[int], module: nn.Module, _: Any, output: Any) -> None:
    run = next(run for run in reversed(runs) if run.module is module and run.done < 0)
    run.done, run.wrote = next(times), any(seen.written for seen in run.given)
    run.given.clear()
    if isinstance(output, Tensor):
        run.gave = _Seen(output)


def _largest(runs: list[_Run]) -> list[nn.Module]:
    """Those that are not within others."""
    found: list[_Run] = []
    for run in runs:
        if not found or run.begun > found[-1].done:
            found.append(run)
    return [run.module for run in found]
