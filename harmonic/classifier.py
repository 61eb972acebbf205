"""A classifier as it is trained, evaluated and exported: prepared pixels in, logits out, normalisation inside."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from harmonic.pixels import PixelSpec


class Classifier(nn.Module):
    """Normalise what `pixels.prepare` gives, then ask the network.

    Input: uint8 (N, H, W, C), as prepared. Output: float32 logits (N, classes).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, spec: PixelSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        mean, std = (torch.tensor(figures, dtype=torch.float64).view(1, -1, 1, 1) for figures in (spec.mean, spec.std))
        self.register_buffer("scale", (1 / (255 * std)).float(), persistent=False)
        self.register_buffer("shift", (-mean / std).float(), persistent=False)

    def forward(self, images: UInt8[Tensor, "n h w c"]) -> Float[Tensor, "n classes"]:
        # An NHWC batch seen as NCHW is channels-last already: no copy, and the fast layout for convolutions.
        normalised = images.permute(0, 3, 1, 2).float() * self.scale + self.shift
        logits: Tensor = self.network(normalised)
        return logits.float()
