"""Scale-equivariant layers: what they compute at one frequency depends on equal and lower frequencies alone.

Signals are real, square and periodic. Convolutions act on absolute frequencies; non-linearities and pooling treat every
shell of frequencies at the shell's own resolution. Shrinking an image ideally, before or after, is then the same.
Source: Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code; the kernel
is real here, since the imaginary half of theirs never reaches an answer.
"""

import copy
import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.resampling import Resampler, low_pass, resampler, shift


class SpectralConv2d(nn.Module):
    """A circular convolution defined by its frequency response, and so the same at every size.

    The response at frequency k is that of the taps x taps kernel, placed causally (at rows and columns 0 .. taps - 1)
    on a grid of `grid` points: at size `grid` this is a circular convolution, at other sizes the kernel's taps are
    `size / grid` pixels apart. Frequencies beyond grid / 2 give 0. No bias.
    State: `weight` (out, in, taps, taps), real, drawn from N(0, 1 / (2 in taps^2)), so that it keeps a signal's size.
    Input (N, in, s, s), output (N, out, s, s). Raises SpectrumError for an odd grid or more taps than grid.
    """

    def __init__(self, in_channels: int, out_channels: int, taps: int, grid: int) -> None:
        super().__init__()
        if grid % 2 or not 1 <= taps <= grid:
            raise SpectrumError(f"grid must be even and at least taps, not grid={grid}, taps={taps}.")
        self.in_channels, self.out_channels, self.taps, self.grid = in_channels, out_channels, taps, grid
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, taps, taps) / (taps * math.sqrt(2 * in_channels))
        )

    def response(self, size: int) -> Complex[Tensor, "out in rows columns"]:
        """The kernel's frequency response on the half spectrum of a size x size image.

        The outermost frequency of an even size stands for k and -k at once: its response is their mean.
        """
        rows = np.fft.fftfreq(size, 1 / size).round()
        columns = np.arange(size // 2 + 1.0)
        # At an even size the outermost row is stored as -size / 2 and the outermost column as +size / 2.
        outermost = np.abs(rows) * 2 == size, columns * 2 == size
        first = _response(self.weight, rows, np.where(outermost[1], -columns, columns), self.grid)
        if size % 2:
            return self._inside(first, rows, columns, size)
        second = _response(self.weight, np.where(outermost[0], -rows, rows), columns, self.grid)
        return self._inside((first + second) / 2, rows, columns, size)

    def _inside(self, response: Tensor, rows: np.ndarray, columns: np.ndarray, size: int) -> Tensor:
        if size <= self.grid:
            return response
        edge = self.grid // 2 if size % 2 else self.grid // 2 - 1
        kept = (np.abs(rows)[:, None] <= edge) & (columns[None, :] <= edge)
        masked: Tensor = response * torch.from_numpy(kept).to(response.device)
        return masked

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        spectrum = torch.fft.rfft2(x)
        mixed = torch.einsum("oikl,nikl->nokl", self.response(x.shape[-1]), spectrum)
        y: Tensor = torch.fft.irfft2(mixed, s=x.shape[-2:])
        return y

    def at_size(self, size: int) -> nn.Module:
        """The same layer for images of one size, without a Fourier transform: a new module.

        Raises SpectrumError for an even size other than `grid`.
        """
        return FixedCircularConv(self) if size == self.grid else FixedShiftedConv(self, size)

    def penalty(self) -> Float[Tensor, ""]:
        """The published regulariser: |L * D| + |taps^2 h| with L the kernel's spectrum and D a hill that punishes
        the highest frequencies (Frobenius norms)."""
        spectrum = torch.fft.fft2(self.weight)
        place = (
            torch.arange(self.taps, device=self.weight.device, dtype=self.weight.dtype) / max(self.taps - 1, 1) - 0.5
        )
        hill = 30 * torch.exp(-10 * (place[:, None] ** 2 + place[None, :] ** 2))
        penalty: Tensor = (spectrum.abs() * hill).norm() + self.taps**2 * self.weight.norm()
        return penalty

    def extra_repr(self) -> str:
        return f"{self.in_channels} -> {self.out_channels}, taps={self.taps}, grid={self.grid}"


class FixedCircularConv(nn.Module):
    """A `SpectralConv2d` at the size of its grid: a plain convolution of the image continued periodically."""

    def __init__(self, layer: SpectralConv2d) -> None:
        super().__init__()
        self.border = layer.taps - 1
        self.weight = nn.Parameter(layer.weight.detach().flip(-1, -2).clone())

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        if self.border:
            x = torch.cat([x[..., -self.border :, :], x], dim=-2)
            x = torch.cat([x[..., -self.border :], x], dim=-1)
        return F.conv2d(x, self.weight)


class FixedShiftedConv(nn.Module):
    """A `SpectralConv2d` at another odd size: shifts by fractions of a pixel along columns, 1x1, shifts along rows."""

    shifts: Tensor

    def __init__(self, layer: SpectralConv2d, size: int) -> None:
        super().__init__()
        if size % 2 == 0:
            raise SpectrumError(f"at even sizes only grid={layer.grid} has a plain form, not {size}; take an odd size.")
        self.taps = layer.taps
        matrices = torch.from_numpy(shift(size, layer.grid, layer.taps).copy())
        self.register_buffer("shifts", matrices.to(layer.weight), persistent=False)
        mixing = layer.weight.detach().permute(2, 0, 3, 1).flatten(2).flatten(0, 1)  # (row tap, out), (column tap, in)
        self.weight = nn.Parameter(mixing[:, :, None, None].clone())

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        across = torch.cat([x @ self.shifts[tap].T for tap in range(self.taps)], dim=1)
        parts = F.conv2d(across, self.weight).chunk(self.taps, dim=1)
        y = self.shifts[0] @ parts[0]
        for tap in range(1, self.taps):
            y = y + self.shifts[tap] @ parts[tap]
        return y


class ShellActivation(nn.Module):
    """Norm and relu, and optionally max-pooling, of every shell of frequencies at the shell's own resolution.

    The image is resampled to each resolution r, normalised there (instance norm, with weights of that resolution),
    rectified, and gives the frequencies that resolution r has and the one before had not. Resolutions: `base`, then
    odd sizes whose outermost frequency grows by `shells`, then what is left of the image's own size.
    channels: of the signal. base: smallest resolution. largest: largest image. pool: 1, or 2 to halve the size
    (rounding up), which needs odd halves: base % 4 == 1 and even `shells`.
    State: `weight.i`, `bias.i` (channels,) for the i-th of `norm_sizes`. Input (N, C, s, s) with base <= s <= largest.
    """

    def __init__(self, channels: int, base: int, largest: int, *, shells: int = 1, pool: Literal[1, 2] = 1) -> None:
        super().__init__()
        if not 2 <= base <= largest or shells < 1 or (shells > 1 and base % 2 == 0):
            raise SpectrumError(
                f"wanted 2 <= base <= largest, and an odd base for bands, not {base}, {largest}, {shells}."
            )
        if pool == 2 and (base % 4 != 1 or shells % 2):
            raise SpectrumError(f"pooling needs base % 4 == 1 and even shells, not base={base}, shells={shells}.")
        self.channels, self.base, self.largest, self.shells, self.pool = channels, base, largest, shells, pool
        step = 1 if shells == 1 else 2 * shells
        self.norm_sizes = tuple(range(base, largest + step, step))
        self.weight = nn.ParameterList(torch.ones(channels) for _ in self.norm_sizes)
        self.bias = nn.ParameterList(torch.zeros(channels) for _ in self.norm_sizes)

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c s2 s2"]:
        steps = shell_steps(x.shape[-1], self.base, self.shells, self.pool, x.dtype, x.device)
        return evaluate_shells(self, steps, x)

    def at_size(self, size: int) -> nn.Module:
        """The same layer for images of one size, its matrices in buffers: a new module that shares the parameters."""
        return FixedShells(self, size)

    def rectified(self, x: Float[Tensor, "n c r r"], resolution: int) -> Float[Tensor, "n c r r"]:
        """Norm and relu at one resolution."""
        index = int(np.searchsorted(self.norm_sizes, resolution))
        if index == len(self.norm_sizes):
            raise SpectrumError(f"an image of {resolution} pixels is larger than the layer's largest, {self.largest}.")
        return F.relu(F.instance_norm(x, weight=self.weight[index], bias=self.bias[index]))

    def extra_repr(self) -> str:
        return f"{self.channels}, base={self.base}, largest={self.largest}, shells={self.shells}, pool={self.pool}"


class FixedShells(nn.Module):
    """A `ShellActivation` at one size."""

    def __init__(self, activation: ShellActivation, size: int) -> None:
        super().__init__()
        some = activation.weight[0]
        steps = shell_steps(size, activation.base, activation.shells, activation.pool, some.dtype, some.device)
        self.activation, self.steps = activation, copy.deepcopy(steps)  # a move to another device must not reach others

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c t t"]:
        return evaluate_shells(self.activation, self.steps, x)


class Matrices(nn.Module):
    """A resampling as constant matrices: buffers outside the state."""

    rows: Tensor
    columns: Tensor
    rows_odd: Tensor | None
    columns_odd: Tensor | None

    def __init__(self, plan: Resampler) -> None:
        super().__init__()
        for name in ("rows", "columns", "rows_odd", "columns_odd"):
            matrix = getattr(plan, name)
            self.register_buffer(name, None if matrix is None else torch.from_numpy(matrix.copy()), persistent=False)

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c t t"]:
        y = self.rows @ x @ self.columns
        if self.rows_odd is not None and self.columns_odd is not None:
            y = y - self.rows_odd @ x @ self.columns_odd
        return y


class ShellStep(nn.Module):
    """What one resolution does: down to it, and its own shells back up. None stands for the identity."""

    def __init__(self, size: int, out: int, resolution: int, inner: int, outer: int, pool: int) -> None:
        super().__init__()
        self.resolution, self.pool = resolution, pool
        self.down = None if resolution == size else Matrices(resampler(size, resolution))
        pooled = -(-resolution // pool)
        # A pooled even size has no clean outermost frequency; bands end on odd ones.
        smooth = _symmetric(resolution, resolution, (pooled - 1) // 2) if pool > 1 else None
        self.smooth = None if smooth is None else Matrices(smooth)
        outer = outer if pool == 1 else (pooled - 1) // 2
        whole = pooled == out and outer == out // 2
        self.up = None if whole else Matrices(_symmetric(pooled, out, outer))
        self.inside = None if inner < 0 else Matrices(_symmetric(pooled, out, inner))
        self.outer = outer

    def forward(self, x: Float[Tensor, "n c s s"], activation: ShellActivation) -> Float[Tensor, "n c t t"]:
        z = activation.rectified(x if self.down is None else self.down(x), self.resolution)
        if self.smooth is not None:
            z = F.max_pool2d(self.smooth(z), self.pool, ceil_mode=True)
        y = z if self.up is None else self.up(z)
        return y if self.inside is None else y - self.inside(z)


def evaluate_shells(
    activation: ShellActivation, steps: nn.ModuleList, x: Float[Tensor, "n c s s"]
) -> Float[Tensor, "n c t t"]:
    """Sum of what every resolution contributes."""
    y: Tensor = steps[0](x, activation)
    for step in list(steps)[1:]:
        y = y + step(x, activation)
    return y


@lru_cache(maxsize=1024)
def shell_steps(
    size: int, base: int, shells: int, pool: int, dtype: torch.dtype, device: torch.device
) -> nn.ModuleList:
    """The steps for images of one size; shared by all layers of equal settings, since they hold constants alone.

    They outlive the call that asks first, so they are made for gradients even where that call runs in inference mode.
    """
    with torch.inference_mode(False):
        return _shell_steps(size, base, shells, pool).to(device=device, dtype=dtype)


def _shell_steps(size: int, base: int, shells: int, pool: int) -> nn.ModuleList:
    out, steps, inner = -(-size // pool), [], -1
    for resolution, outer in resolutions(size, base, shells):
        step = ShellStep(size, out, resolution, inner, outer, pool)
        inner = step.outer
        steps.append(step)
    return nn.ModuleList(steps)


def resolutions(size: int, base: int, shells: int) -> list[tuple[int, int]]:
    """(resolution, outermost frequency that is kept from it), ascending.

    Even sizes strictly between `base` and the image's own are never needed: the next odd one overwrites all of theirs.
    """
    if size < base:
        raise SpectrumError(f"an image of {size} pixels is smaller than the layer's base resolution, {base}.")
    if size == base:
        return [(base, base // 2)]
    top = (base - 1) // 2
    found = [(base, top)]
    while top < (size - 1) // 2:
        top = min(top + shells, (size - 1) // 2)
        found.append((2 * top + 1, top))
    return found if size % 2 else [*found, (size, size // 2)]


def _symmetric(size: int, target: int, top: int) -> Resampler:
    matrix = low_pass(size, target, top)
    return Resampler(matrix, matrix.T)


def _response(weight: Tensor, rows: np.ndarray, columns: np.ndarray, grid: int) -> Tensor:
    """sum over m of weight[m] * exp(-2 pi i k m / grid), for every pair of frequencies."""
    taps = np.arange(weight.shape[-1])
    kind = torch.complex128 if weight.dtype == torch.float64 else torch.complex64
    left, right = (
        torch.from_numpy(np.exp(-2j * np.pi * np.outer(k, taps) / grid)).to(weight.device, kind)
        for k in (rows, columns)
    )
    return left @ weight.to(kind) @ right.T
