"""A harmonic convolution of chosen bands: each input channel weighs filters of its own.

A level keeps the same low frequencies of every channel. A set of bands keeps what matters, wherever it is.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.banks import Size
from harmonic.layers.protocol import spectral_layer
from harmonic.layers.spectral import HarmonicConv2d


@dataclass(frozen=True, slots=True)
class BandSet:
    """Which bands of a layer are kept, the same in every group: band n * freq + f is filter f of a group's channel n.

    of: how many bands there are. numbers: of those that are kept, ascending. Raises SpectrumError for a set that is
    empty or goes beyond its bands.
    """

    of: int
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        sorted_once = self.numbers == tuple(sorted(set(self.numbers)))
        if not self.numbers or not sorted_once or self.numbers[0] < 0 or self.numbers[-1] >= self.of:
            raise SpectrumError(
                f"a set of bands holds numbers from 0 to {self.of - 1}, ascending and at least one, not "
                f"{len(self.numbers)} such as {list(self.numbers[:5])}."
            )

    @classmethod
    def of_mask(cls, mask: Bool[Tensor, " bands"]) -> Self:
        """The bands where a mask is true."""
        return cls(len(mask), tuple(mask.nonzero().flatten().tolist()))

    def mask(self) -> Bool[Tensor, " bands"]:
        """True for each band that is kept."""
        mask = torch.zeros(self.of, dtype=torch.bool)
        mask[list(self.numbers)] = True
        return mask

    def as_json(self) -> dict[str, Any]:
        """How many bands there are, and a bit for each, eight in two hexadecimal digits."""
        return {"of": self.of, "kept": np.packbits(self.mask().numpy()).tobytes().hex()}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `as_json` wrote; SpectrumError for anything else."""
        try:
            of, bits = int(value["of"]), np.unpackbits(np.frombuffer(bytes.fromhex(value["kept"]), np.uint8))
        except (TypeError, KeyError, ValueError) as error:
            raise SpectrumError(
                f"a set of bands is {{of, kept}}, kept in hexadecimal digits, not {value!r}."
            ) from error
        if of < 1 or len(bits) != -(-of // 8) * 8:
            raise SpectrumError(f"a set of {of} bands has {-(-of // 8) * 2} digits, not {len(bits) // 4}.")
        return cls(of, _numbers(bits))


def _numbers(bits: ndarray) -> tuple[int, ...]:
    return tuple(int(number) for number in np.flatnonzero(bits))


@spectral_layer(in_channels=4, out_channels=6, kernel_size=3, padding=1, kept=BandSet(36, (0, 1, 9, 13, 18, 26, 35)))
class BandSetConv2d(HarmonicConv2d):
    """A harmonic convolution that weighs the bands of a set alone.

    kept: those bands, of in_channels / groups x filters. Other arguments as `HarmonicConv2d`.
    State: `weight` (out, kept bands, 1, 1), `bias` (out,). The set is no part of the state: it is told when the layer
    is made. Raises SpectrumError for a set of another number of bands.
    """

    mask: Float[Tensor, " bands"]

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size = 3, *, kept: BandSet, **options: Any):
        self.kept = kept  # before the layer asks for the shape of its weight
        super().__init__(in_channels, out_channels, kernel_size, **options)
        bands = in_channels // self.groups * len(self.frequencies)
        if kept.of != bands:
            raise SpectrumError(f"the set is one of {kept.of} bands, and the layer has {bands} in each group.")

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, len(self.kept.numbers), 1, 1)

    def _fan(self, init: str) -> float:
        if init == "fan_out":
            return self.out_channels * len(self.frequencies)
        energy = self._energy() / len(self.frequencies) if init == "preserving" else 1
        return len(self.kept.numbers) * energy

    def constants(self) -> dict[str, Tensor]:
        """The filter bank, and 1 for each band that is kept, 0 for the others."""
        return {**super().constants(), "mask": self.kept.mask().float()}

    def coefficients(self) -> Float[Tensor, "out in_ freq"]:
        """As `HarmonicConv2d`; zero for what is not kept."""
        kept = self.mask.bool().expand(self.out_channels, -1)
        every = torch.zeros(kept.shape, dtype=self.weight.dtype, device=self.weight.device)
        every = every.masked_scatter(kept, self.weight)
        return every.view(self.out_channels, self.in_channels // self.groups, len(self.frequencies))

    def bands(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n bands h2 w2"]:
        """The responses that are kept, group by group."""
        x, padding = self._padded(x)
        kept = self.mask.bool().repeat(self.groups).nonzero().flatten()
        channels, filters = kept // len(self.frequencies), kept % len(self.frequencies)
        bank = self.bank[filters].unsqueeze(1)
        return F.conv2d(x[:, channels], bank, None, self.stride, padding, self.dilation, groups=len(kept))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {len(self.kept.numbers)}/{self.kept.of} bands"
