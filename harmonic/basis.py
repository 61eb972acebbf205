"""DCT-II filter banks: the fixed spectral filters that a harmonic layer weighs.

Pure functions. Filters are applied by cross-correlation, as `torch.nn.functional.conv2d` does.
Source: Ulicny, Krylov, Dahyot, "Harmonic Networks for Image Classification", BMVC 2019, section 3.
"""

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from harmonic.errors import SpectrumError

Size = int | tuple[int, int]
Norm = Literal["l1", "orthonormal"]


def dct_bank(
    size: Size, level: int | None = None, dc: bool = True, norm: Norm = "l1"
) -> Float[Tensor, "freq rows columns"]:
    """The filters psi_{u,v}[x, y] = alpha * cos(pi (x + 1/2) u / R) * cos(pi (y + 1/2) v / C), in the order of
    `frequencies`.

    size: K for K x K filters, or (rows R, columns C). x and u run along rows (the height), y and v along columns.
    level: keep the filters with u + v < level; None keeps all. dc: False leaves out (0, 0).
    norm: "l1" makes sum |psi| = 1 per filter (what every published model uses); "orthonormal" makes sum psi^2 = 1.
    Returns float32. Filters are orthogonal under both norms. Raises SpectrumError for a bank that cannot exist.
    """
    if norm not in ("l1", "orthonormal"):
        raise SpectrumError(f"norm must be 'l1' or 'orthonormal', not {norm!r}.")
    rows, columns = filter_size(size)
    row_waves, column_waves = _cosines(rows), _cosines(columns)
    # Products in float64, stored as float32 before the L1 sum: bit for bit the banks of the published checkpoints.
    bank = torch.from_numpy(
        np.stack([np.outer(row_waves[u], column_waves[v]) for u, v in frequencies(size, level, dc)]).astype(np.float32)
    )
    if norm == "l1":
        return bank / bank.abs().sum(dim=(1, 2), keepdim=True)
    gains = [_orthonormal_gain(u, rows) * _orthonormal_gain(v, columns) for u, v in frequencies(size, level, dc)]
    return bank * torch.tensor(gains, dtype=torch.float32)[:, None, None]


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


def _cosines(taps: int) -> NDArray[np.float64]:
    """Row u is cos(pi (x + 1/2) u / taps) for x = 0 .. taps - 1."""
    x, u = np.arange(taps) + 0.5, np.arange(taps)
    return np.cos(math.pi * np.outer(u, x) / taps)


def _orthonormal_gain(frequency: int, taps: int) -> float:
    return math.sqrt((1 if frequency == 0 else 2) / taps)
