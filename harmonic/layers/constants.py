"""Constant buffers: what a layer computes from its settings, never learns and never stores.

They are outside the state, so nothing restores them when a module's memory is given anew (`to_empty`, a start on the
meta device). Each move of the module therefore computes them again: a filter bank cannot hold garbage.
"""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class WithConstants(nn.Module):
    """A module with constant buffers, right on every device, in every dtype, and after every move."""

    def constants(self) -> dict[str, Tensor]:
        """The constants by name, computed anew on the CPU."""
        raise NotImplementedError

    def register_constants(self, like: Tensor) -> None:
        """Make them buffers in a tensor's dtype and on its device; beside a tensor without memory they keep theirs."""
        device = None if like.is_meta else like.device
        for name, value in self.constants().items():
            self.register_buffer(name, value.to(device=device, dtype=like.dtype), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for name, value in self.constants().items():
                self.get_buffer(name).copy_(value)
        return self
