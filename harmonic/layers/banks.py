"""Filter banks: the fixed spectral filters that a harmonic layer weighs. DCT-II, Walsh-Hadamard, Gaussian derivatives.

Pure functions. Filters are applied by cross-correlation, as `torch.nn.functional.conv2d` does. Every bank is separable
and orthogonal, and its one-dimensional waves are ordered by how often they change sign, so that a level means the same
in all of them.
Source: Ulicny, Krylov, Dahyot, "Harmonic Networks for Image Classification", BMVC 2019, section 3.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial.hermite_e import hermevander
from numpy.typing import NDArray
from torch import Tensor

from harmonic.errors import SpectrumError

Size = int | tuple[int, int]
Norm = Literal["l1", "orthonormal"]
Bank = Literal["dct", "hadamard", "gaussian"]


def filter_bank(
    kind: Bank, size: Size, level: int | None = None, dc: bool = True, norm: Norm = "l1"
) -> Float[Tensor, "freq rows columns"]:
    """The filters psi_{u,v}[x, y] = alpha * wave_u(x) * wave_v(y), in the order of `frequencies`.

    kind: "dct" has the waves cos(pi (x + 1/2) u / taps). "hadamard" has the rows of Walsh-Hadamard matrices, which
    exist for 1, 2, 4, 8, ... taps. "gaussian" has derivatives of order u of a Gaussian of standard deviation taps / 4,
    each made orthogonal to the lower ones: at every level they span what the derivatives span.
    size: K for K x K filters, or (rows, columns). x and u run along rows (the height), y and v along columns.
    level: keep the filters with u + v < level; None keeps all. dc: False leaves out (0, 0).
    norm: "l1" makes sum |psi| = 1 per filter (what every published model uses); "orthonormal" makes sum psi^2 = 1.
    Returns float32. Filters are orthogonal under both norms. Raises SpectrumError for a bank that cannot exist.
    """
    if norm not in get_args(Norm):
        raise SpectrumError(f"norm must be 'l1' or 'orthonormal', not {norm!r}.")
    rows, columns = filter_size(size)
    row_waves, column_waves = waves(kind, rows), waves(kind, columns)
    # Products in float64, stored as float32, summed filter by filter in NumPy's order: so the banks of the published
    # checkpoints were made, and these are the same to the last bit.
    filters = [np.outer(row_waves[u], column_waves[v]).astype(np.float32) for u, v in frequencies(size, level, dc)]
    if norm == "l1":
        return torch.from_numpy(np.stack([psi / np.sum(np.abs(psi)) for psi in filters]))
    bank = torch.from_numpy(np.stack(filters))
    lengths: Tensor = torch.linalg.vector_norm(bank, dim=(1, 2), keepdim=True)
    return bank / lengths


def dct_bank(
    size: Size, level: int | None = None, dc: bool = True, norm: Norm = "l1"
) -> Float[Tensor, "freq rows columns"]:
    """`filter_bank` of the DCT-II."""
    return filter_bank("dct", size, level, dc, norm)


def frequencies(size: Size, level: int | None = None, dc: bool = True) -> tuple[tuple[int, int], ...]:
    """The pairs (u, v) of a bank: u (along rows) outermost, v (along columns) inside, both ascending; u + v < level
    kept."""
    rows, columns = filter_size(size)
    limit = checked_level(level, size)
    kept = tuple((u, v) for u in range(rows) for v in range(columns) if u + v < limit and (dc or u + v > 0))
    if not kept:
        raise SpectrumError(
            f"level {level} without the constant filter leaves an empty bank; raise the level or keep dc=True."
        )
    return kept


def filter_size(size: Size) -> tuple[int, int]:
    """(rows, columns) of a filter size; SpectrumError unless both are whole numbers from 1."""
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in pair):
        raise SpectrumError(
            f"a filter's size must be a whole number from 1, or two of them (rows, columns), not {size!r}."
        )
    return pair


def checked_level(level: int | None, size: Size) -> int:
    """The level as a number, None meaning the full bank; SpectrumError outside 1 .. rows + columns - 1."""
    rows, columns = filter_size(size)
    full = rows + columns - 1
    if level is None:
        return full
    if not isinstance(level, int) or isinstance(level, bool) or not 1 <= level <= full:
        raise SpectrumError(
            f"level must be None or 1 to {full} for {rows}x{columns} filters ({full} keeps all), not {level!r}."
        )
    return level


def waves(kind: Bank, taps: int) -> NDArray[np.float64]:
    """The one-dimensional waves of a bank: row u changes sign u times. SpectrumError where there are none."""
    return _WAVES[checked_bank(kind)](taps)


def checked_bank(kind: str) -> Bank:
    """The bank of that name; SpectrumError if there is none."""
    for bank in _WAVES:
        if kind == bank:
            return bank
    raise SpectrumError(f"bank must be one of {', '.join(_WAVES)}, not {kind!r}.")


def _cosines(taps: int) -> NDArray[np.float64]:
    x, u = np.arange(taps) + 0.5, np.arange(taps)
    return np.cos(np.outer(u, math.pi * x) / taps)


def _walsh(taps: int) -> NDArray[np.float64]:
    if taps & (taps - 1):
        raise SpectrumError(f"a Hadamard bank has sides of 1, 2, 4, 8, ... taps, not {taps}.")
    matrix = np.ones((1, 1))
    while len(matrix) < taps:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    sign_changes = (np.diff(matrix, axis=1) != 0).sum(axis=1)
    ordered: NDArray[np.float64] = matrix[np.argsort(sign_changes)]
    return ordered


def _gaussian_derivatives(taps: int) -> NDArray[np.float64]:
    """The derivative of order n of exp(-t^2 / 2) is (-1)^n He_n(t) exp(-t^2 / 2), He_n a Hermite polynomial."""
    t = (np.arange(taps) - (taps - 1) / 2) / (taps / 4)
    derivatives = hermevander(t, taps - 1) * np.exp(-np.square(t) / 2)[:, None] * (-1.0) ** np.arange(taps)
    orthogonal, triangle = np.linalg.qr(derivatives)
    return (orthogonal * np.sign(np.diag(triangle))).T


_WAVES: dict[Bank, Callable[[int], NDArray[np.float64]]] = {
    "dct": _cosines,
    "hadamard": _walsh,
    "gaussian": _gaussian_derivatives,
}
