"""Ideal resampling of square images, as real matrices: crop or zero-pad the spectrum, and go back.

Knows numpy alone. Resampling is linear and works along rows and columns, so a whole DFT, crop and inverse DFT is
`rows @ x @ columns`, where an even size adds a second product for the half of its outermost frequency that is kept.
Conventions of Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code:
coefficients do not change with the size, so that values keep their range.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from harmonic.errors import SpectrumError


@dataclass(frozen=True)
class Resampler:
    """The matrices of one resampling: x -> rows @ x @ columns - rows_odd @ x @ columns_odd, all float64.

    The second term is absent (None) where the kept frequencies are symmetric, which is everywhere but at even sizes.
    """

    rows: Float[ndarray, "m n"]
    columns: Float[ndarray, "n m"]
    rows_odd: Float[ndarray, "m n"] | None = None
    columns_odd: Float[ndarray, "n m"] | None = None

    def __call__(self, x: Float[ndarray, "*batch n n"]) -> Float[ndarray, "*batch m m"]:
        """Resample square images along their last two axes."""
        y = self.rows @ x @ self.columns
        if self.rows_odd is not None and self.columns_odd is not None:
            y = y - self.rows_odd @ x @ self.columns_odd
        return np.asarray(y)

    def matrices(self) -> dict[str, Float[ndarray, "to from"]]:
        """Those that are there, by name."""
        both = {"rows": self.rows, "columns": self.columns}
        if self.rows_odd is not None and self.columns_odd is not None:
            both |= {"rows_odd": self.rows_odd, "columns_odd": self.columns_odd}
        return both


@lru_cache(maxsize=4096)
def resampler(size: int, target: int, modes: int | None = None) -> Resampler:
    """From size x size to target x target pixels, keeping `modes` frequencies a side (None: as many as the target has).

    Odd `modes` keep |k| <= modes // 2. Even ones also keep the half of the outermost frequency that a real transform
    stores: the negative row and the positive column. modes <= target. Raises SpectrumError for impossible sizes.
    """
    modes = target if modes is None else modes
    if min(size, target, modes) < 1 or modes > target:
        raise SpectrumError(f"cannot resample {size} to {target} pixels with {modes} frequencies a side.")
    edge = min(modes // 2, size // 2)
    top = edge if modes % 2 else edge - 1  # an even count keeps the outermost row once, on the negative side
    rows = _waves(target, size, np.arange(-edge, top + 1), None)
    weights = np.array([1.0 if c == 0 or 2 * c == target else 2.0 for c in range(edge + 1)])
    columns = _waves(target, size, np.arange(edge + 1), weights).T
    if modes % 2:
        return Resampler(_frozen(rows.real), _frozen(columns.real))
    return Resampler(*map(_frozen, (rows.real, columns.real, rows.imag, columns.imag)))


@lru_cache(maxsize=4096)
def low_pass(size: int, target: int, top: int) -> Float[ndarray, "target size"]:
    """The matrix A of x -> A x A': the frequencies |k| <= top of `size` pixels, sampled at `target` points."""
    return _frozen(_waves(target, size, np.arange(-top, top + 1), None).real)


@lru_cache(maxsize=4096)
def shift(size: int, grid: int, taps: int) -> Float[ndarray, "taps size size"]:
    """Circular shifts by 0 .. taps - 1 pixels of a grid of `grid` points, of a signal that has `size` samples.

    Keeps |k| <= min(size, grid) // 2, without the outermost frequency of an even size.
    """
    top = min((size - 1) // 2, grid // 2)
    k = np.arange(-top, top + 1)
    position = np.arange(size)[:, None] / size - np.arange(size)[None, :] / size
    phases = position[None] - np.arange(taps)[:, None, None] / grid
    return _frozen(np.cos(2 * np.pi * phases[..., None] * k).sum(axis=-1) / size)


def own_size(side: int, largest: int) -> int:
    """The size at which an image of `side` pixels is read by a network of `largest` pixels."""
    return min(side, largest)


def to_largest(x: Float[ndarray, "side side"], largest: int) -> Float[ndarray, "largest largest"]:
    """Bring an image of any size to `largest`: a smaller one by zero-padding its spectrum, a larger one by cropping it.

    A smaller image of even size loses its outermost frequency, which has no counterpart of its own on a finer grid.
    """
    side = x.shape[-1]
    if side >= largest:
        return resampler(side, largest)(x) if side > largest else x
    matrix = low_pass(side, largest, (side - 1) // 2)
    return np.asarray(matrix @ x @ matrix.T)


def _waves(target: int, size: int, frequencies: ndarray, weights: Float[ndarray, " k"] | None) -> ndarray:
    """sum over k of weight * exp(2 pi i k (m / target - q / size)) / size, for every m and q."""
    weighed = np.ones(len(frequencies)) if weights is None else weights
    outward = np.exp(2j * np.pi * np.outer(np.arange(target) / target, frequencies)) * weighed
    inward = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(size) / size))
    return np.asarray(outward @ inward / size)


def _frozen(matrix: ndarray) -> ndarray:
    matrix = np.ascontiguousarray(matrix)
    matrix.setflags(write=False)
    return matrix
