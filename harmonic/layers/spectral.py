"""Harmonic layers: convolutions whose kernels are learned combinations of a fixed filter bank.

`HarmonicConv2d` merges bank and coefficients into one kernel; `BandNormConv2d` normalises every band between the two.
Both are exactly an `nn.Conv2d` in evaluation, which `as_conv2d()` returns.
Source: Ulicny, Krylov, Dahyot, "Harmonic Networks for Image Classification", BMVC 2019, section 3.
"""

import math
from collections.abc import Callable
from typing import Literal, Self, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.banks import Bank, Norm, Size, filter_bank, filter_size, frequencies
from harmonic.layers.constants import WithConstants
from harmonic.layers.protocol import spectral_layer

Init = Literal["fan_out", "fan_in", "preserving"]
Pair = int | tuple[int, int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


def synthesise(
    coefficients: Float[Tensor, "out in_ freq"], bank: Float[Tensor, "freq rows columns"]
) -> Float[Tensor, "out in_ rows columns"]:
    """Weigh the filters of a bank: kernel[o, i] = sum over f of coefficients[o, i, f] * bank[f] (Ulicny 2019, eq.
    2)."""
    out_channels, in_channels, _ = coefficients.shape
    # One matrix product; a broadcast would build out x in x freq x K x K.
    kernels = coefficients.flatten(0, 1) @ bank.flatten(1)
    return kernels.view(out_channels, in_channels, *bank.shape[1:])


class SpectralConv2d(WithConstants):
    """What both layers share: geometry, bank, bias, and the promise of an equivalent plain convolution."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    bank: Float[Tensor, "freq rows columns"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        *,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        level: int | None = None,
        dc: bool = True,
        bank: Bank = "dct",
        norm: Norm = "l1",
        init: Init = "fan_out",
    ) -> None:
        super().__init__()
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            _check_counts(name, count)
        if in_channels % groups or out_channels % groups:
            raise SpectrumError(
                f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = filter_size(kernel_size)
        plain = _geometry(self.kernel_size, stride, padding, dilation, padding_mode)
        self.stride: tuple[int, ...] = plain.stride
        self.padding: str | tuple[int, ...] = plain.padding
        self.dilation: tuple[int, ...] = plain.dilation
        self.padding_mode = plain.padding_mode
        self._border = list(plain._reversed_padding_repeated_twice)
        self._geometry = (self.kernel_size, stride, padding, dilation, groups)
        self.level, self.dc, self.bank_kind, self.bank_norm, self.init = level, dc, bank, norm, init
        self.frequencies = frequencies(self.kernel_size, level, dc)
        self.weight = nn.Parameter(torch.empty(self._weight_shape()))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels)) if bias else None)
        self.register_constants(self.weight)
        for name, part in self._parts().items():
            self.add_module(name, part)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _parts(self) -> dict[str, nn.Module]:
        """Layers inside this one, by name."""
        return {}

    def constants(self) -> dict[str, Tensor]:
        """The filter bank."""
        return {"bank": filter_bank(self.bank_kind, self.kernel_size, self.level, self.dc, self.bank_norm)}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def on_matrices(tensor: Tensor) -> Tensor:
            # Memory formats (`channels_last`) are for four dimensions, and would refuse a weight of five.
            return fn(tensor.flatten(2)).view(tensor.shape) if tensor.dim() == 5 else fn(tensor)

        return super()._apply(on_matrices, recurse)

    def coefficients(self) -> Float[Tensor, "out in_ freq"]:
        """Learned weight of every filter; `in` counts the input channels of one group."""
        return self.weight.reshape(self.out_channels, self.in_channels // self.groups, len(self.frequencies))

    def reset_parameters(self, init: Init | None = None) -> None:
        """Draw weights from N(0, 2 / fan) and zero the bias.

        "fan_out" is PyTorch's kaiming fan_out of the weight's shape (the ImageNet models); "fan_in" counts input
        channels x filters (the CIFAR and STL-10 models); "preserving" counts input channels x the filters' energy, so
        that noise keeps its variance through this layer and a relu. None: as the layer was made.
        """
        init = self.init if init is None else init
        if init not in get_args(Init):
            raise SpectrumError(f"init must be one of {', '.join(get_args(Init))}, not {init!r}.")
        nn.init.normal_(self.weight, std=math.sqrt(2 / self._fan(init)))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _fan(self, init: Init) -> float:
        if init == "fan_out":
            return self.weight.shape[0] * self.weight[0, 0].numel()
        return self.in_channels // self.groups * (self._energy() if init == "preserving" else len(self.frequencies))

    def _energy(self) -> float:
        """Variance that the bank's responses to noise of variance 1 have together."""
        return float(self.constants()["bank"].square().sum())

    def as_conv2d(self) -> nn.Conv2d:
        """The equivalent plain convolution in evaluation: the same answers, borders included. A new module; this one
        is unchanged."""
        kernel, bias = self._plain_parameters()
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            *self._geometry,
            bias=bias is not None,
            padding_mode=self.padding_mode,
            device=kernel.device,
            dtype=kernel.dtype,
        )
        with torch.no_grad():
            plain.weight.copy_(kernel)
            if plain.bias is not None and bias is not None:
                plain.bias.copy_(bias)
        return plain.train(self.training)

    def _plain_parameters(self) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError

    def bands(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n bands h2 w2"]:
        """Every filter's response to every input channel, before any norm; band n * freq + f is filter f of channel
        n."""
        x, padding = self._padded(x)
        bank = self.bank.unsqueeze(1).repeat(self.in_channels, 1, 1, 1)
        return F.conv2d(x, bank, None, self.stride, padding, self.dilation, groups=self.in_channels)

    def _padded(self, x: Tensor) -> tuple[Tensor, str | tuple[int, ...]]:
        """Input and padding for `conv2d`, which knows only zeros."""
        if self.padding_mode == "zeros":
            return x, self.padding
        return F.pad(x, self._border, mode=self.padding_mode), (0, 0)

    def extra_repr(self) -> str:
        rows, columns = self.kernel_size
        size = f"{rows}" if rows == columns else f"{rows}x{columns}"
        parts = [f"{self.in_channels} -> {self.out_channels}", f"k={size}"]
        parts += [f"level={self.level}"] if self.level is not None else []
        parts += [f"{len(self.frequencies)}/{rows * columns} filters"]
        parts += [self.bank_kind] if self.bank_kind != "dct" else []
        parts += [f"stride={self.stride[0]}"] if max(self.stride) > 1 else []
        parts += [f"groups={self.groups}"] if self.groups > 1 else []
        return ", ".join(parts)


@spectral_layer(in_channels=4, out_channels=6, kernel_size=3, padding=1)
class HarmonicConv2d(SpectralConv2d):
    """A convolution whose kernels are learned combinations of fixed filters.

    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as `nn.Conv2d`.
    bank, level, dc, norm: which filters, as `filter_bank`. init: as `reset_parameters`.
    State: `weight` (out, in / groups, freq, 1, 1), `bias` (out,). The bank is a buffer outside the state.
    Input (N, in, H, W), output as `nn.Conv2d`'s. Raises SpectrumError for a bank or groups that cannot exist.
    """

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups, len(self.frequencies), 1, 1)

    def kernel(self) -> Float[Tensor, "out in_ rows columns"]:
        """The merged kernel. It is made for every call: one that is kept goes stale where the weights change unseen."""
        return synthesise(self.coefficients(), self.bank)

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        x, padding = self._padded(x)
        return F.conv2d(x, self.kernel(), self.bias, self.stride, padding, self.dilation, self.groups)

    def _plain_parameters(self) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            return self.kernel(), self.bias


@spectral_layer(in_channels=4, out_channels=6, kernel_size=3, padding=1)
class BandNormConv2d(SpectralConv2d):
    """A harmonic convolution that normalises every band response: depth-wise bank, BatchNorm without affine, 1x1.

    Arguments as `HarmonicConv2d`. State: `weight` (out, in / groups * freq, 1, 1), `bias` (out,), and the norm's
    statistics over in * freq bands; band n * freq + f is filter f of input channel n.
    `as_conv2d` needs evaluation mode: in training an output depends on the other images of its batch.
    """

    norm: nn.BatchNorm2d

    def _parts(self) -> dict[str, nn.Module]:
        return {"norm": nn.BatchNorm2d(self.in_channels * len(self.frequencies), affine=False)}

    def reset_parameters(self, init: Init | None = None) -> None:
        """As `HarmonicConv2d`, and the norm's statistics start again."""
        super().reset_parameters(init)
        self.norm.reset_parameters()

    def _energy(self) -> float:
        return len(self.frequencies)  # the norm gives every band variance 1

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups * len(self.frequencies), 1, 1)

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        return F.conv2d(self.norm(self.bands(x)), self.weight, self.bias, groups=self.groups)

    def _plain_parameters(self) -> tuple[Tensor, Tensor | None]:
        # The norm acts on band responses, after padding, so folding is exact at the borders too.
        mean, var = self.norm.running_mean, self.norm.running_var
        if self.training or mean is None or var is None:
            raise SpectrumError("a band norm has a plain form only in eval() mode, with running statistics.")
        shape = (self.groups, 1, self.in_channels // self.groups, len(self.frequencies))
        with torch.no_grad():
            scale = torch.rsqrt(var.double() + self.norm.eps).view(shape)
            grouped = self.coefficients().double().view(self.groups, -1, *shape[2:]) * scale
            shift = -(grouped * mean.double().view(shape)).sum(dim=(2, 3)).flatten()
            shift = shift if self.bias is None else shift + self.bias.double()
            kernel = synthesise(grouped.flatten(0, 1), self.bank.double())
        return kernel.to(self.weight.dtype), shift.to(self.weight.dtype)


def _check_counts(name: str, value: object, smallest: int = 1) -> None:
    """SpectrumError unless the value is a whole number from `smallest`, or some of them."""
    numbers = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= smallest for n in numbers):
        raise SpectrumError(f"{name} must be a whole number from {smallest}, not {value!r}.")


def _geometry(
    kernel_size: tuple[int, int], stride: Pair, padding: Pair | str, dilation: Pair, padding_mode: PaddingMode
) -> nn.Conv2d:
    """A plain convolution without memory, which says how to apply the geometry; SpectrumError for an impossible one."""
    _check_counts("stride", stride)
    _check_counts("dilation", dilation)
    if not isinstance(padding, str):
        _check_counts("padding", padding, smallest=0)
    try:
        return nn.Conv2d(1, 1, kernel_size, stride, padding, dilation, padding_mode=padding_mode, device="meta")
    except (ValueError, TypeError, RuntimeError) as error:
        raise SpectrumError(f"a convolution cannot have this geometry: {error}.") from error
