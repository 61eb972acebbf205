"""Scale-equivariant convolutions: what they compute at one frequency depends on that frequency alone.

Signals are real, square and periodic. The layers act on absolute frequencies, so that shrinking an image ideally,
before or after, is the same. The non-linearities that go with them are in `shells`.
Source: Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code; the kernel
is real here, since the imaginary half of theirs never reaches an answer.
"""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.constants import WithConstants
from harmonic.pixels import shift


class FourierConv2d(nn.Module):
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
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, taps, taps))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw a kernel that keeps a signal's size."""
        nn.init.normal_(self.weight, std=1 / (self.taps * math.sqrt(2 * self.in_channels)))

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
        edge = self.grid // 2  # Below the image's own outermost frequency, so k and -k are told apart there.
        kept = (np.abs(rows)[:, None] <= edge) & (columns[None, :] <= edge)
        masked: Tensor = response * torch.from_numpy(kept).to(response.device)
        return masked

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        # Fourier transforms know no 16 bit numbers (those of CUDA: only at powers of two).
        wide = x.float() if torch.finfo(x.dtype).bits < 32 else x
        spectrum = torch.fft.rfft2(wide)
        mixed = torch.einsum("oikl,nikl->nokl", self.response(int(x.shape[-1])), spectrum)
        y: Tensor = torch.fft.irfft2(mixed, s=x.shape[-2:])
        return y.to(x.dtype)

    def at_size(self, size: int) -> nn.Module:
        """The same layer for images of one size, without a Fourier transform: a new module.

        Raises SpectrumError for an even size below `grid`.
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
    """A `FourierConv2d` at the size of its grid: a plain convolution of the image continued periodically."""

    def __init__(self, layer: FourierConv2d) -> None:
        super().__init__()
        self.border = layer.taps - 1
        self.weight = nn.Parameter(layer.weight.detach().flip(-1, -2).clone())

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        if self.border:
            x = torch.cat([x[..., -self.border :, :], x], dim=-2)
            x = torch.cat([x[..., -self.border :], x], dim=-1)
        return F.conv2d(x, self.weight)


class FixedShiftedConv(WithConstants):
    """A `FourierConv2d` at an odd size, or an even one above its grid: shifts by fractions of a
    pixel along columns, 1x1, shifts along rows."""

    shifts: Tensor

    def __init__(self, layer: FourierConv2d, size: int) -> None:
        super().__init__()
        if size % 2 == 0 and size < layer.grid:
            raise SpectrumError(
                f"an even size below the grid, {layer.grid}, has no plain form, so not {size}; take an odd size."
            )
        self.size, self.grid, self.taps = size, layer.grid, layer.taps
        self.register_constants(layer.weight)
        mixing = layer.weight.detach().permute(2, 0, 3, 1).flatten(2).flatten(0, 1)  # (row tap, out), (column tap, in)
        self.weight = nn.Parameter(mixing[:, :, None, None].clone())

    def constants(self) -> dict[str, Tensor]:
        """The shifts as matrices."""
        return {"shifts": torch.from_numpy(shift(self.size, self.grid, self.taps).copy())}

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s s"]:
        across = torch.cat([x @ self.shifts[tap].T for tap in range(self.taps)], dim=1)
        parts = F.conv2d(across, self.weight).chunk(self.taps, dim=1)
        y = self.shifts[0] @ parts[0]
        for tap in range(1, self.taps):
            y = y + self.shifts[tap] @ parts[tap]
        return y


def _response(weight: Tensor, rows: np.ndarray, columns: np.ndarray, grid: int) -> Tensor:
    """sum over m of weight[m] * exp(-2 pi i k m / grid), for every pair of frequencies."""
    taps = np.arange(int(weight.shape[-1]))
    kind = torch.complex128 if weight.dtype == torch.float64 else torch.complex64
    left, right = (
        torch.from_numpy(np.exp(-2j * np.pi * np.outer(k, taps) / grid)).to(weight.device, kind)
        for k in (rows, columns)
    )
    return left @ weight.to(kind) @ right.T
