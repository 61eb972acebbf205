"""A spectral layer from outside the packages, as somebody would add one: a class with a decorator, and nothing else.

It is made of layers of its own, so that whoever takes it apart is found out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic import zoo
from harmonic.layers import spectral_layer
from harmonic.pixels import PixelSpec

PIXELS = PixelSpec(height=16, width=16)


@spectral_layer(in_channels=4, out_channels=6)
class HaarConv2d(nn.Module):
    """Mean, edges and diagonal of every 2 x 2 block, mixed by a 1x1 convolution."""

    kernel_size, groups, level, bank_kind = (2, 2), 1, None, "haar"
    frequencies = ((0, 0), (0, 1), (1, 0), (1, 1))

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        waves = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2
        self.register_buffer("bank", torch.einsum("ux,vy->uvxy", waves, waves).flatten(0, 1), persistent=False)
        self.mix = nn.Conv2d(4 * in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        bands = F.conv2d(x, self.bank[:, None].repeat(self.in_channels, 1, 1, 1), stride=2, groups=self.in_channels)
        mixed: Tensor = self.mix(bands)
        return mixed

    def coefficients(self) -> Tensor:
        return self.mix.weight.view(self.out_channels, self.in_channels, 4)

    def as_conv2d(self) -> nn.Conv2d:
        plain = nn.Conv2d(self.in_channels, self.out_channels, 2, stride=2).to(self.mix.weight)
        with torch.no_grad():
            plain.weight.copy_(torch.einsum("oif,fxy->oixy", self.coefficients(), self.bank))
            plain.bias.copy_(self.mix.bias)
        return plain


def haar_net(classes: int) -> nn.Module:
    """Two Haar layers with norms, a plain convolution, and a linear layer."""
    return nn.Sequential(
        HaarConv2d(3, 8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        HaarConv2d(8, 8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def register_haar_net() -> None:
    """Give the network a name, for the rest of the process."""
    zoo.register("haar_net", pixels=PIXELS, listed=(), stand_in="haar_net")(haar_net)
