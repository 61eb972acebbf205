"""Laws that every architecture keeps, and what their tests share: stand-ins, random statistics, comparison."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harmonic import zoo
from harmonic.pixels import PixelSpec

CLASSES = 3


def stand_in_names() -> list[str]:
    """The template of every registered family; a new family gets every law for free."""
    return [family.template for family in zoo.families()]


def family(template: str) -> zoo.Architecture:
    return next(family for family in zoo.families() if family.template == template)


def stand_in(template: str) -> nn.Module:
    """A small, seeded member of a family."""
    name, arguments = family(template).stand_in
    torch.manual_seed(0)
    return zoo.create(name, CLASSES, **arguments)


def small_pixels(template: str) -> PixelSpec:
    """The family's native input, but at most 64 pixels a side, where the network takes any size."""
    spec = family(template).pixels
    if spec.fit == "spectral":  # its exported graph is for the native size alone
        return spec
    return spec.model_copy(update={"height": min(spec.height, 64), "width": min(spec.width, 64)})


def images(count: int, template: str) -> Tensor:
    """Normalised images of the size of `small_pixels`."""
    height, width, channels = small_pixels(template).shape
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(1))


def images_of_every_size(count: int, template: str) -> list[Tensor]:
    """As `images`, and where the network takes smaller ones too, about as many sizes of them as its norms have."""
    spec = family(template).pixels
    if spec.fit != "spectral":
        return [images(count, template)]
    sizes = range(spec.smallest, spec.height + 1, max(1, (spec.height - spec.smallest) // 12))
    return [images(count, template)[..., :size, :size] for size in sizes]


def randomised(model: nn.Module) -> nn.Module:
    """Give every norm statistics and affine parameters away from their start: fresh ones hide folding bugs."""
    generator = torch.Generator().manual_seed(2)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(layer.bias, 0, 0.3, generator=generator)
    return model


def assert_same_function(first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Equal outputs up to the rounding of the dtype, relative to the largest output."""
    with torch.no_grad():
        expected, found = first(x), second(x)
    rounding = 100 * torch.finfo(x.dtype).eps * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding)


def assert_close(found: Tensor, wanted: Tensor, ulps: float = 100) -> None:
    """Equal shapes and values, within `ulps` roundings of the largest wanted value in the coarser of the dtypes."""
    assert found.shape == wanted.shape
    assert torch.isfinite(found).all()
    step = max(torch.finfo(found.dtype).eps, torch.finfo(wanted.dtype).eps)
    largest_error = (found.double() - wanted.double()).abs().max()
    assert largest_error <= ulps * step * wanted.double().abs().max().clamp(min=1)
