"""Windowed convolutions: kernels that taper towards their border, so that fewer frequencies leak through.

The window multiplies the learned weight on every call; `as_conv2d()` bakes it in, which is exact to the last bit.
Source: Tomen, van Gemert, "Spectral Leakage and Rethinking the Kernel Size in CNNs", ICCV 2021; the square root of the
outer product is the choice of the open implementation by E. Kashin (non-leaking-conv).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.banks import Size, filter_size
from harmonic.layers.constants import WithConstants
from harmonic.layers.protocol import spectral_layer

Pair = int | tuple[int, int]


def hamming_window(size: Size, power: float = 0.5) -> Float[Tensor, "rows columns"]:
    """H[i, j] = (w[i] * w[j]) ** power with the symmetric w[n] = 0.54 - 0.46 cos(2 pi n / (taps - 1)); one tap is 1.

    size: K for K x K, or (rows, columns). power: 0.5, or 1 for the plain outer product.
    Computed in float64, returned as float32. Raises SpectrumError for an impossible size or power.
    """
    if not (math.isfinite(power) and power > 0):
        raise SpectrumError(f"a window's power is a positive number, not {power!r}.")
    rows, columns = filter_size(size)
    return torch.from_numpy(np.outer(_hamming(rows), _hamming(columns)) ** power).float()


@spectral_layer(in_channels=4, out_channels=6, kernel_size=5, padding=2)
class HammingConv2d(WithConstants):
    """A convolution whose kernels are multiplied by a Hamming window: y = conv(x, weight * window) + bias.

    in_channels ... bias: as `nn.Conv2d`. window_power: as `hamming_window`.
    State: `weight` (out, in / groups, rows, columns), not windowed, and `bias` (out,). The window is a buffer outside
    the state; the key `hamming2d`, under which other implementations store it, is accepted and ignored.
    It is no `nn.Conv2d`: whoever reads the weight of one would miss the window. Raises SpectrumError for impossible
    groups.
    """

    window: Float[Tensor, "rows columns"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 7,
        *,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        window_power: float = 0.5,
    ) -> None:
        super().__init__()
        _check_groups(groups, in_channels, out_channels)
        self.kernel_size = filter_size(kernel_size)
        plain = nn.Conv2d(in_channels, out_channels, self.kernel_size, stride, padding, dilation, groups, bias=bias)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.stride: tuple[int, ...] = plain.stride
        self.padding: str | tuple[int, ...] = plain.padding
        self.dilation: tuple[int, ...] = plain.dilation
        self.weight, self.bias = plain.weight, plain.bias
        self._geometry = (self.kernel_size, stride, padding, dilation, groups)
        self.window_power = window_power
        self.register_constants(self.weight)

    def constants(self) -> dict[str, Tensor]:
        """The window."""
        return {"window": hamming_window(self.kernel_size, self.window_power)}

    def reset_parameters(self) -> None:
        """Draw weight and bias as `nn.Conv2d` does; the window is not compensated."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def kernel(self) -> Float[Tensor, "out in rows columns"]:
        """The windowed weight: what the input is really convolved with."""
        return self.weight * self.window

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        return F.conv2d(x, self.kernel(), self.bias, self.stride, self.padding, self.dilation, self.groups)

    def as_conv2d(self) -> nn.Conv2d:
        """The same convolution with the window multiplied into the weight: a new module, equal to the last bit."""
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            *self._geometry,
            bias=self.bias is not None,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        with torch.no_grad():
            plain.weight.copy_(self.kernel())
            if plain.bias is not None and self.bias is not None:
                plain.bias.copy_(self.bias)
        return plain.train(self.training)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.pop(f"{prefix}hamming2d", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        rows, columns = self.kernel_size
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        stride = f", stride={self.stride[0]}" if max(self.stride) > 1 else ""
        return f"{self.in_channels} -> {self.out_channels}, k={rows}x{columns}{stride}{groups}"


class FactorisedConv2d(nn.Module):
    """Two convolutions in sequence, (rows x 1) then (1 x columns), with nothing between them.

    conv: makes each factor, `nn.Conv2d` or `HammingConv2d`; the product of the two factors' windows is the square
    kernel's window. The middle has `out_channels` channels. groups: of both factors. bias: of the second alone, since
    one bias says all that two could.
    State: `conv1.weight` (out, in / groups, rows, 1), `conv2.weight` (out, out / groups, 1, columns), `conv2.bias`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 7,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        conv: Callable[..., nn.Module] = HammingConv2d,
    ) -> None:
        super().__init__()
        _check_groups(groups, in_channels, out_channels)
        rows, columns = filter_size(kernel_size)
        (down, right), (top, left) = _pair(stride), _pair(padding)
        self.conv1 = conv(
            in_channels, out_channels, (rows, 1), stride=(down, 1), padding=(top, 0), groups=groups, bias=False
        )
        self.conv2 = conv(
            out_channels, out_channels, (1, columns), stride=(1, right), padding=(0, left), groups=groups, bias=bias
        )

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        y: Tensor = self.conv2(self.conv1(x))
        return y


def _hamming(taps: int) -> Float[np.ndarray, " taps"]:
    """Symmetric, so that both ends are the same; the periodic form would tilt every kernel."""
    return np.hamming(taps) if taps > 1 else np.ones(1)


def _check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise SpectrumError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}.")


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
