"""Batches whose images are mixed in pairs, and their labels with them."""

from collections.abc import Callable

from jaxtyping import Float, Int64, Num
from torch import Tensor
from torchvision.transforms import v2

from harmonic.training.recipe import AugmentSection

Mixed = tuple[Float[Tensor, "n h w c"], Float[Tensor, "n classes"]]
Mix = Callable[[Num[Tensor, "n h w c"], Int64[Tensor, " n"]], Mixed]


def mixing(section: AugmentSection, classes: int) -> Mix | None:
    """MixUp and CutMix as the recipe says, by torchvision, drawn from PyTorch's own generator; None for neither.

    It takes the prepared images and the labels of a batch, and gives mixed images and the share of every class in each.
    """
    ways: list[v2.Transform] = []
    if section.mixup:
        ways.append(v2.MixUp(num_classes=classes, alpha=section.mixup))
    if section.cutmix:
        ways.append(v2.CutMix(num_classes=classes, alpha=section.cutmix))
    if not ways:
        return None
    either = v2.RandomChoice(ways)

    def mix(images: Num[Tensor, "n h w c"], labels: Int64[Tensor, " n"]) -> Mixed:
        mixed, shares = either(images.permute(0, 3, 1, 2).float(), labels)
        return mixed.permute(0, 2, 3, 1), shares

    return mix
