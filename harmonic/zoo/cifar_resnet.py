"""Residual networks for 32 x 32 images with parameter-free shortcuts.

Source: He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2, shortcut option A.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register

IMAGENET_AT_32 = PixelSpec(height=32, width=32)  # the usual ImageNet mean and std


class BasicBlock(nn.Module):
    """3x3, norm, relu, 3x3, norm, plus the input; where channels double, the shortcut takes every second pixel and adds
    channels of zeros."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride, self.added = stride, (out_channels - in_channels) // 2

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added, self.added))
        return F.relu(y + shortcut)


class CifarResNet(nn.Module):
    """Root, three stages of blocks with 16, 32 and 64 channels, global mean, linear."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, 1, blocks)
        self.layer2 = _stage(16, 32, 2, blocks)
        self.layer3 = _stage(32, 64, 2, blocks)
        self.linear = nn.Linear(64, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        features = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


def _stage(in_channels: int, out_channels: int, stride: int, blocks: int) -> nn.Sequential:
    rest = (BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(in_channels, out_channels, stride), *rest)


@register(
    "cifar_resnet{depth}",
    pixels=IMAGENET_AT_32,
    listed=("cifar_resnet20", "cifar_resnet56"),
    stand_in="cifar_resnet8",
    published={"cifar_resnet20": "C10 8.75", "cifar_resnet56": "C10 6.97"},
)
def cifar_resnet(depth: int, classes: int) -> nn.Module:
    """ResNet for 32 x 32 images with parameter-free shortcuts."""
    if depth < 8 or (depth - 2) % 6:
        raise ZooError(f"such a ResNet's depth is 6n + 2: 8, 14, 20, 32, 44, 56, 110, ..., not {depth}.")
    return CifarResNet((depth - 2) // 6, classes)
