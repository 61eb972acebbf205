"""Which filters of a bank the kernels of a convolution hold: a truncated layer's kernels say so themselves.

Folding weighs outputs and bands, and that leaves a kernel in the span of the filters it was made of.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from harmonic.layers import Bank, waves

# A kernel is stored in float32, which moves a coefficient by some 1e-7 of the kernel's largest weight.
_ROUNDING = 2e-6


@dataclass(frozen=True, eq=False)
class Span:
    """Filters of one bank, and how much of each the kernels hold: kernel[o, i] = sum over f of coefficients[o, i, f] *
    outer(rows[f], columns[f]).

    frequencies: (u, v) of each filter, u along rows. What an input channel does not hold of them has no coefficient but
    zero.
    """

    bank: Bank
    frequencies: tuple[tuple[int, int], ...]
    rows: Float[ndarray, "freq taps_down"]
    columns: Float[ndarray, "freq taps_across"]
    coefficients: Float[ndarray, "out in_ freq"]

    @property
    def filters(self) -> Float[ndarray, "freq taps_down taps_across"]:
        """Every filter; the sum of its magnitudes is 1."""
        filters: ndarray = self.rows[:, :, None] * self.columns[:, None, :]
        return filters

    @property
    def taps(self) -> int:
        """How many filters the whole bank has."""
        return int(self.rows.shape[1] * self.columns.shape[1])

    @property
    def bands(self) -> Bool[ndarray, "in_ freq"]:
        """Which filters each input channel holds, of a group."""
        held: ndarray = np.any(self.coefficients != 0, axis=0)
        return held

    def holding(self, bands: Bool[ndarray, "in_ freq"]) -> "Span":
        """The same where each input channel holds these filters alone, and only filters that some channel holds."""
        some = np.flatnonzero(bands.any(axis=0))
        pairs = tuple(self.frequencies[number] for number in some)
        coefficients = np.where(bands, self.coefficients, 0)[:, :, some]
        return Span(self.bank, pairs, self.rows[some], self.columns[some], coefficients)

    def kernels(self) -> Float[ndarray, "out in_ taps_down taps_across"]:
        """The kernels, merged again."""
        kernels: ndarray = np.tensordot(self.coefficients, self.filters, axes=1)
        return kernels


def span(kernels: Float[ndarray, "out in_ taps_down taps_across"]) -> Span:
    """The fewest filters of one bank that make the kernels, up to the rounding of float32, and of as many those that
    the fewest channels hold; all of them if it takes them all."""
    found = [_of_bank(kernels.astype(np.float64), bank, *pair) for bank, pair in _banks(*kernels.shape[2:])]
    return min(found, key=lambda one: (len(one.frequencies), int(one.bands.sum())))


def drawn(
    bank: Bank, size: tuple[int, int], frequencies: tuple[tuple[int, int], ...], outputs: int, inputs: int
) -> Span:
    """These filters of a bank of so many taps, down and across, with coefficients that are drawn: for speed, which does
    not depend on them."""
    rows, columns = (_scaled(waves(bank, taps)) for taps in size)
    up, along = [u for u, _ in frequencies], [v for _, v in frequencies]
    coefficients = np.random.default_rng(0).normal(size=(outputs, inputs, len(frequencies)))
    return Span(bank, frequencies, rows[up], columns[along], coefficients)


def _banks(down: int, across: int) -> Iterator[tuple[Bank, tuple[ndarray, ndarray]]]:
    """The banks that have filters of this size, with their waves."""
    banks: tuple[Bank, ...] = ("dct", "gaussian")
    if not (down & (down - 1) or across & (across - 1)):  # a Hadamard bank has sides of 1, 2, 4, 8, ... taps
        banks += ("hadamard",)
    for bank in banks:
        yield bank, (waves(bank, down), waves(bank, across))


def _of_bank(kernels: ndarray, bank: Bank, down: ndarray, across: ndarray) -> Span:
    rows, columns = _scaled(down), _scaled(across)
    # The waves are orthogonal, so every filter's share is found by itself.
    shares = np.einsum("oixy,ux,vy->oiuv", kernels, rows, columns, optimize=True)
    lengths = np.outer(np.square(rows).sum(1), np.square(columns).sum(1))
    coefficients = shares / lengths
    held = _held(coefficients * np.sqrt(lengths), kernels)
    pairs = tuple((u, v) for u in range(len(rows)) for v in range(len(columns)))
    up, along = [u for u, _ in pairs], [v for _, v in pairs]
    whole = Span(bank, pairs, rows[up], columns[along], coefficients[:, :, up, along])
    return whole.holding(held[:, up, along])


def _scaled(each: ndarray) -> ndarray:
    """Waves whose magnitudes sum to 1."""
    scaled: ndarray = each / np.abs(each).sum(axis=1, keepdims=True)
    return scaled


def _held(weighted: ndarray, kernels: ndarray) -> ndarray:
    """True for each frequency of an input channel that is more than rounding in the kernel of any output; one that is
    in none is left."""
    largest = np.abs(kernels).max(axis=(1, 2, 3))
    held: ndarray = (np.abs(weighted) > _ROUNDING * largest[:, None, None, None]).any(axis=0)
    if not held.any():
        held[0, 0, 0] = True
    return held
