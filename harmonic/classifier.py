"""A classifier as it is trained, evaluated and exported: prepared pixels in, logits out, normalisation inside."""

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.pixels import PixelSpec


class Classifier(nn.Module):
    """Normalise what `pixels.prepare` gives, then ask the network.

    Input: (N, H, W, C), uint8 or float32, as prepared. Output: float32 logits (N, classes).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, spec: PixelSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        mean, std = (torch.tensor(figures, dtype=torch.float64).view(1, -1, 1, 1) for figures in (spec.mean, spec.std))
        # What comes after the colours (an image's own size) is no brightness and stays as it is.
        extra = spec.shape[2] - spec.channels
        scale = F.pad(1 / (255 * std), (0, 0, 0, 0, 0, extra), value=1.0)
        self.register_buffer("scale", scale.float(), persistent=False)
        self.register_buffer("shift", F.pad(-mean / std, (0, 0, 0, 0, 0, extra)).float(), persistent=False)

    def forward(self, images: Num[Tensor, "n h w c"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.network(self.normalised(images))
        return logits.float()

    def normalised(self, images: Num[Tensor, "n h w c"]) -> Float[Tensor, "n c h w"]:
        """What the network sees of prepared pixels."""
        # An NHWC batch seen as NCHW is channels-last already: no copy, and the fast layout for convolutions.
        return images.permute(0, 3, 1, 2).float() * self.scale + self.shift
