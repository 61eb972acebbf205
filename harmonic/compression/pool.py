"""Images to learn from: prepared when they are needed, and kept where they are few enough.

Knows no network and no labels.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int64, Num
from numpy import ndarray

from harmonic.compression.bench import Bench
from harmonic.data import Images, prepare_all
from harmonic.pixels import prepare

_CACHED_BYTES = 4 << 30  # prepared images up to this size are kept in memory


@dataclass(frozen=True)
class Pool:
    """The images of a bench, and others that nobody has prepared yet. others: of the same classes or any."""

    bench: Bench
    others: Images | None = None

    def __len__(self) -> int:
        return len(self.bench.pixels) + (len(self.others) if self.others else 0)

    def taken(self, numbers: Int64[ndarray, " m"]) -> Num[torch.Tensor, "m h w c"]:
        """These images as pixels."""
        own = len(self.bench.pixels)
        return torch.from_numpy(np.stack([self.bench.pixels[n] if n < own else self._other(n - own) for n in numbers]))

    def _other(self, number: int) -> Num[ndarray, "h w c"]:
        if self.others is None:
            raise IndexError(f"there are no images but the bench's own {len(self.bench.pixels)}.")
        if self._kept is not None:
            kept: ndarray = self._kept[number]
            return kept
        pixels: ndarray = prepare(self.others.taken(number, self.bench.spec), self.bench.spec)
        return pixels

    @cached_property
    def _kept(self) -> ndarray | None:
        spec = self.bench.spec
        if self.others is None or len(self.others) * math.prod(spec.shape) * spec.dtype.itemsize > _CACHED_BYTES:
            return None
        return prepare_all(self.others, spec, title="Reading images to learn from")
