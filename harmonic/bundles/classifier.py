"""A classifier as it is trained, evaluated and exported: prepared pixels in, logits out, normalisation inside."""

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.layers import WithConstants
from harmonic.pixels import PixelSpec


class Classifier(WithConstants):
    """Normalise what `pixels.prepare` gives, then ask the network.

    Input: (N, H, W, C), uint8 or float32, as prepared. Output: float32 logits (N, classes).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, spec: PixelSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        self.register_constants(torch.empty(0, dtype=torch.float32))

    def constants(self) -> dict[str, Tensor]:
        """What pixels are multiplied with, and what is added then."""
        mean, std = (
            torch.tensor(figures, dtype=torch.float64, device="cpu").view(1, -1, 1, 1)
            for figures in (self.spec.mean, self.spec.std)
        )
        # What comes after the colours (an image's own size) is no brightness and stays as it is.
        extra = (0, 0, 0, 0, 0, self.spec.shape[2] - self.spec.channels)
        scale = F.pad(1 / (255 * std), extra, value=1.0)
        return {"scale": scale.float(), "shift": F.pad(-mean / std, extra).float()}

    def forward(self, images: Num[Tensor, "n h w c"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.network(self.normalised(images))
        return logits.float()

    def normalised(self, images: Num[Tensor, "n h w c"]) -> Float[Tensor, "n c h w"]:
        """What the network sees of prepared pixels."""
        # An NHWC batch seen as NCHW is channels-last already: no copy, and the fast layout for convolutions.
        return images.permute(0, 3, 1, 2).float() * self.scale + self.shift
