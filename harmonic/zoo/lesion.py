"""A small harmonic classifier for skin lesions at 64 x 64, and its twin with plain convolutions.

After I. Ilmer's report on harmonic networks for HAM10000 (2019), with its defects mended: the bank is depth-wise, so
that colour reaches every layer; the norm between filters and weights stands in the first layer alone, where it
matters; global pooling replaces a first linear layer of 8.4 million weights.
"""

from collections.abc import Callable, Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from harmonic.errors import ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register

# Channel statistics of the training lesions of HAM10000 at 64 x 64.
LESION = PixelSpec(height=64, width=64, fit="squash", mean=(0.7803, 0.5289, 0.5499), std=(0.1317, 0.1547, 0.1707))
_STAGES = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2))  # width factor and stride of each layer


class LesionNet(nn.Module):
    """Six layers of convolution, norm and relu, halving the image three times; global mean, dropout, linear.

    convs: makes each layer's convolution. Input (N, 3, H, W), output logits (N, classes).
    """

    def __init__(self, convs: Sequence[Callable[..., nn.Module]], *, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        layers, channels = [], 3
        for conv, (factor, stride) in zip(convs, _STAGES, strict=True):
            layers.append(
                nn.Sequential(
                    conv(channels, factor * width, kernel_size=3, stride=stride, padding=1, bias=False),
                    nn.BatchNorm2d(factor * width),
                    nn.ReLU(),
                )
            )
            channels = factor * width
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.head(self.dropout(self.layers(x).mean(dim=(2, 3))))
        return logits


@register(
    "harm_lesion", pixels=LESION, listed=("harm_lesion",), stand_in="harm_lesion", stand_in_arguments={"width": 4}
)
def harm_lesion(classes: int, width: int = 32, level: int | None = None, dropout: float = 0.2) -> nn.Module:
    """Six harmonic layers for skin lesions at 64 x 64, the first with a norm for every filter; research only."""
    harmonic = partial(HarmonicConv2d, init="fan_in", level=level)
    return _build([partial(BandNormConv2d, init="fan_in"), *[harmonic] * 5], width, classes, dropout)


@register(
    "plain_lesion", pixels=LESION, listed=("plain_lesion",), stand_in="plain_lesion", stand_in_arguments={"width": 4}
)
def plain_lesion(classes: int, width: int = 32, dropout: float = 0.2) -> nn.Module:
    """The same network with plain convolutions, to compare with."""
    network = _build([nn.Conv2d] * 6, width, classes, dropout)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return network


def _build(convs: Sequence[Callable[..., nn.Module]], width: int, classes: int, dropout: float) -> LesionNet:
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= 1024:
        raise ZooError(f"width is a whole number of channels from 1 to 1024, not {width!r}.")
    if not 0 <= dropout < 1:
        raise ZooError(f"dropout is a probability below 1, not {dropout!r}.")
    return LesionNet(convs, width=width, classes=classes, dropout=dropout)
