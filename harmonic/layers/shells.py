"""Scale-equivariant non-linearities: every shell of frequencies is treated at the shell's own resolution.

What comes out at one frequency then depends on equal and lower frequencies alone, as `fourier` says of convolutions.
Source: Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.constants import WithConstants
from harmonic.pixels import Resampler, low_pass, resampler

Map = Callable[[Tensor], Tensor]


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
        return self.assembled(x, _shared_steps(int(x.shape[-1]), self.base, self.shells, self.pool, x.dtype, x.device))

    def assembled(self, x: Float[Tensor, "n c s s"], steps: tuple["ShellStep", ...]) -> Float[Tensor, "n c s2 s2"]:
        """Sum of what every resolution contributes."""
        parts = [step.up(self.rectified(step.down(x), step.resolution)) for step in steps]
        y = parts[0]
        for part in parts[1:]:
            y = y + part
        return y

    def rectified(self, x: Float[Tensor, "n c r r"], resolution: int) -> Float[Tensor, "n c r r"]:
        """Norm and relu at one resolution."""
        index = next((i for i, size in enumerate(self.norm_sizes) if size >= resolution), None)
        if index is None:
            raise SpectrumError(f"an image of {resolution} pixels is larger than the layer's largest, {self.largest}.")
        weight, bias = self.weight[index].to(x.dtype), self.bias[index].to(x.dtype)  # under autocast x may be coarser
        return F.relu(F.instance_norm(x, weight=weight, bias=bias))

    def at_size(self, size: int) -> nn.Module:
        """The same layer for images of one size, its matrices in buffers: a new module that shares the parameters."""
        return FixedShells(self, size)

    def reset_parameters(self) -> None:
        """Norms start as the identity after the division by the deviation."""
        for weight, bias in zip(self.weight, self.bias, strict=True):
            nn.init.ones_(weight)
            nn.init.zeros_(bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, base={self.base}, largest={self.largest}, shells={self.shells}, pool={self.pool}"


class FixedShells(nn.Module):
    """A `ShellActivation` at one size."""

    def __init__(self, activation: ShellActivation, size: int) -> None:
        super().__init__()
        self.activation, self.matrices = activation, nn.ModuleList()

        def owned(plan: Resampler) -> Map:
            self.matrices.append(Matrices(plan).to(activation.weight[0]))
            return self.matrices[-1]

        self._steps = shell_steps(size, activation.base, activation.shells, activation.pool, owned)

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c t t"]:
        return self.activation.assembled(x, self._steps)


class Matrices(WithConstants):
    """A resampling as constant matrices: buffers outside the state."""

    rows: Tensor
    columns: Tensor
    rows_odd: Tensor | None
    columns_odd: Tensor | None

    def __init__(self, plan: Resampler) -> None:
        super().__init__()
        self.plan = plan
        self.register_constants(torch.empty(0, dtype=torch.float64))
        for name in {"rows_odd", "columns_odd"} - plan.matrices().keys():
            self.register_buffer(name, None)

    def constants(self) -> dict[str, Tensor]:
        """The matrices that the resampling has, in float64."""
        return {name: torch.from_numpy(matrix.copy()) for name, matrix in self.plan.matrices().items()}

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c t t"]:
        return _resampled(x, self.rows, self.columns, self.rows_odd, self.columns_odd)


@dataclass(frozen=True, slots=True)
class SharedMatrices:
    """The same as constants of a computation, without a module: nothing that holds them can move or change them."""

    rows: Tensor
    columns: Tensor
    rows_odd: Tensor | None = None
    columns_odd: Tensor | None = None

    def __call__(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c t t"]:
        return _resampled(x, self.rows, self.columns, self.rows_odd, self.columns_odd)


@dataclass(frozen=True, slots=True)
class ShellStep:
    """What one resolution does: down to it, and its own shells back up. None stands for the identity.

    smooth: before pooling. raised, inside: the way up of all its frequencies, and of those that are not its own.
    """

    resolution: int
    pool: int
    lowered: Map | None
    smooth: Map | None
    raised: Map | None
    inside: Map | None

    def down(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c r r"]:
        """The image at this resolution."""
        return x if self.lowered is None else self.lowered(x)

    def up(self, z: Float[Tensor, "n c r r"]) -> Float[Tensor, "n c t t"]:
        """This resolution's share of the answer."""
        if self.smooth is not None:
            z = F.max_pool2d(self.smooth(z), self.pool, ceil_mode=True)
        y = z if self.raised is None else self.raised(z)
        return y if self.inside is None else y - self.inside(z)


def shell_steps(
    size: int, base: int, shells: int, pool: int, made: Callable[[Resampler], Map]
) -> tuple[ShellStep, ...]:
    """The steps for images of one size; `made` turns a resampling into what carries it out."""
    out, steps, inner = -(-size // pool), [], -1
    for resolution, outer in resolutions(size, base, shells):
        pooled = -(-resolution // pool)
        # A pooled even size has no clean outermost frequency; bands end on odd ones.
        last = outer if pool == 1 else (pooled - 1) // 2
        whole = pooled == out and last == out // 2
        steps.append(
            ShellStep(
                resolution,
                pool,
                lowered=None if resolution == size else made(resampler(size, resolution)),
                smooth=made(_symmetric(resolution, resolution, (pooled - 1) // 2)) if pool > 1 else None,
                raised=None if whole else made(_symmetric(pooled, out, last)),
                inside=None if inner < 0 else made(_symmetric(pooled, out, inner)),
            )
        )
        inner = last
    return tuple(steps)


def shared_matrices(plan: Resampler, dtype: torch.dtype, device: torch.device) -> SharedMatrices:
    """A resampling's matrices; made for gradients even where the first call that needs them runs in inference mode."""
    with torch.inference_mode(False):
        return SharedMatrices(
            **{
                name: torch.from_numpy(matrix.copy()).to(device=device, dtype=dtype)
                for name, matrix in plan.matrices().items()
            }
        )


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


@lru_cache(maxsize=1024)
def _shared_steps(
    size: int, base: int, shells: int, pool: int, dtype: torch.dtype, device: torch.device
) -> tuple[ShellStep, ...]:
    """The steps for images of one size: constants alone, shared by all layers of equal settings."""
    return shell_steps(size, base, shells, pool, lambda plan: shared_matrices(plan, dtype, device))


def _resampled(
    x: Float[Tensor, "n c s s"], rows: Tensor, columns: Tensor, rows_odd: Tensor | None, columns_odd: Tensor | None
) -> Float[Tensor, "n c t t"]:
    y = rows @ x @ columns
    if rows_odd is not None and columns_odd is not None:
        y = y - rows_odd @ x @ columns_odd
    return y


def _symmetric(size: int, target: int, top: int) -> Resampler:
    matrix = low_pass(size, target, top)
    return Resampler(matrix, matrix.T)
