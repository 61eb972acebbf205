"""Networks of the original code, rebuilt as functions of their published key names.

Apart from the package's own networks: checkpoints that a test draws, and what the original answers with them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def bank(size: int, level: int | None = None) -> Tensor:
    """The original's filters: cosines in float64, stored as float32, then divided by their L1 sum."""
    waves = [[math.cos(math.pi * (x + 0.5) * u / size) for x in range(size)] for u in range(size)]
    filters = [
        torch.tensor([[a * b for b in waves[v]] for a in waves[u]], dtype=torch.float64).float()
        for u in range(size)
        for v in range(size)
        if level is None or u + v < level
    ]
    return torch.stack([f / f.abs().sum() for f in filters])


class Draw:
    """Random tensors of a checkpoint, and the keys they stand under."""

    def __init__(self) -> None:
        self.state: State = {}
        self.rng = torch.Generator().manual_seed(5)

    def weight(self, key: str, *shape: int) -> None:
        self.state[key] = torch.randn(*shape, generator=self.rng) * (2 / math.prod(shape[1:])) ** 0.5

    def norm(self, key: str, channels: int, affine: bool = True) -> None:
        self.state[f"{key}.running_mean"] = torch.randn(channels, generator=self.rng) * 0.1
        self.state[f"{key}.running_var"] = torch.rand(channels, generator=self.rng) + 0.5
        if affine:
            self.state[f"{key}.weight"] = torch.rand(channels, generator=self.rng) + 0.5
            self.state[f"{key}.bias"] = torch.randn(channels, generator=self.rng) * 0.1

    def linear(self, key: str, out: int, into: int) -> None:
        self.weight(f"{key}.weight", out, into)
        self.state[f"{key}.bias"] = torch.randn(out, generator=self.rng) * 0.1


def norm(x: Tensor, p: State, key: str) -> Tensor:
    affine = (p.get(f"{key}.weight"), p.get(f"{key}.bias"))
    return F.batch_norm(x, p[f"{key}.running_mean"], p[f"{key}.running_var"], *affine)


def linear_block(
    x: Tensor, weight: Tensor, filters: Tensor, stride: int, bias: Tensor | None = None, groups: int = 1
) -> Tensor:
    """The original's merged mode: weight (out, in / groups, filters, 1, 1)."""
    kernel = (weight * filters[None, None]).sum(dim=2)
    return F.conv2d(x, kernel, bias, stride, filters.shape[-1] // 2, groups=groups)


def norm_block(
    x: Tensor, weight: Tensor, p: State, key: str, filters: Tensor, stride: int, bias: Tensor | None = None
) -> Tensor:
    """The original's other mode: depth-wise bank, norm without affine, 1 x 1."""
    tiled = filters[:, None].repeat(x.shape[1], 1, 1, 1)
    maps = F.conv2d(x, tiled, None, stride, filters.shape[-1] // 2, groups=x.shape[1])
    return F.conv2d(norm(maps, p, key), weight, bias)


# --- wide ResNets: one flat dict ---


def draw_wrn(levels: tuple[int | None, ...] | None, root: str) -> State:
    """WRN-10-1 for 4 classes. levels: of the groups, None for plain convolutions in the blocks."""
    draw = Draw()
    if root == "harmonic0":
        draw.weight("harmonic0.conv", 16, 27, 1, 1)
        draw.norm("harmonic0.bn", 27, affine=False)
    else:
        draw.weight("conv0", 16, 3, 3, 3)
    into = 16
    for group, out in enumerate((16, 32, 64)):
        key = f"group{group}.block0"
        draw.norm(f"{key}.bn0", into)
        draw.norm(f"{key}.bn1", out)
        for index, channels in enumerate((into, out)):
            if levels is None:
                draw.weight(f"{key}.conv{index}", out, channels, 3, 3)
            else:
                draw.weight(f"{key}.harmonic{index}.conv", out, channels, len(bank(3, levels[group])), 1, 1)
        if into != out:
            draw.weight(f"{key}.convdim", out, into, 1, 1)
        into = out
    draw.norm("bn", 64)
    draw.linear("fc", 4, 64)
    return draw.state


def original_wrn(x: Tensor, p: State, levels: tuple[int | None, ...] | None) -> Tensor:
    x = (
        norm_block(x, p["harmonic0.conv"], p, "harmonic0.bn", bank(3), 1)
        if "harmonic0.conv" in p
        else F.conv2d(x, p["conv0"], padding=1)
    )
    for group in range(3):
        key, stride = f"group{group}.block0", 1 if group == 0 else 2

        def conv(x: Tensor, index: int, stride: int, key: str = key, group: int = group) -> Tensor:
            if levels is None:
                return F.conv2d(x, p[f"{key}.conv{index}"], None, stride, 1)
            return linear_block(x, p[f"{key}.harmonic{index}.conv"], bank(3, levels[group]), stride)

        o1 = F.relu(norm(x, p, f"{key}.bn0"))
        z = conv(F.relu(norm(conv(o1, 0, stride), p, f"{key}.bn1")), 1, 1)
        x = z + (F.conv2d(o1, p[f"{key}.convdim"], None, stride) if f"{key}.convdim" in p else x)
    o = F.avg_pool2d(F.relu(norm(x, p, "bn")), 8, 1, 0).flatten(1)
    return F.linear(o, p["fc.weight"], p["fc.bias"])


# --- ResNets: torchvision's names, harm1 and harm2 ---


def draw_resnet18(harmonic_root: bool, levels: tuple[int | None, ...]) -> State:
    draw = Draw()
    if harmonic_root:
        draw.weight("harm1.weight", 64, 3 * 49, 1, 1)
        draw.norm("harm1.bn", 3 * 49, affine=False)
    else:
        draw.weight("conv1.weight", 64, 3, 7, 7)
    draw.norm("bn1", 64)
    into = 64
    for stage, out in enumerate((64, 128, 256, 512), start=1):
        filters = len(bank(3, levels[stage - 1]))
        for block in range(2):
            key = f"layer{stage}.{block}"
            draw.weight(f"{key}.harm1.weight", out, into, filters, 1, 1)
            draw.weight(f"{key}.harm2.weight", out, out, filters, 1, 1)
            draw.norm(f"{key}.bn1", out)
            draw.norm(f"{key}.bn2", out)
            if into != out:
                draw.weight(f"{key}.downsample.0.weight", out, into, 1, 1)
                draw.norm(f"{key}.downsample.1", out)
            into = out
    draw.linear("fc", 4, 512)
    return draw.state


def original_resnet18(x: Tensor, p: State, levels: tuple[int | None, ...]) -> Tensor:
    x = (
        norm_block(x, p["harm1.weight"], p, "harm1.bn", bank(7), 4)
        if "harm1.weight" in p
        else F.conv2d(x, p["conv1.weight"], None, 4, 3)
    )
    x = F.relu(norm(x, p, "bn1"))
    for stage in range(1, 5):
        filters = bank(3, levels[stage - 1])
        for block in range(2):
            key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.relu(norm(linear_block(x, p[f"{key}.harm1.weight"], filters, stride), p, f"{key}.bn1"))
            y = norm(linear_block(y, p[f"{key}.harm2.weight"], filters, 1), p, f"{key}.bn2")
            if f"{key}.downsample.0.weight" in p:
                x = norm(F.conv2d(x, p[f"{key}.downsample.0.weight"], None, stride), p, f"{key}.downsample.1")
            x = F.relu(x + y)
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


# --- VGG-11 ---

VGG11 = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")


def draw_vgg11(norms: bool) -> State:
    draw, index, into = Draw(), 0, 3
    for out in VGG11:
        if out == "M":
            index += 1
            continue
        shape = (out, 27, 1, 1) if index == 0 else (out, into, 9, 1, 1)
        draw.weight(f"features.{index}.weight", *shape)
        draw.state[f"features.{index}.bias"] = torch.randn(out, generator=draw.rng) * 0.1
        if index == 0:
            draw.norm("features.0.bn", 27, affine=False)
        if norms:
            draw.norm(f"features.{index + 1}", out)
        index, into = index + (3 if norms else 2), out
    draw.linear("classifier.0", 8, 512 * 49)
    draw.linear("classifier.3", 8, 8)
    draw.linear("classifier.6", 4, 8)
    return draw.state


def original_vgg11(x: Tensor, p: State, norms: bool) -> Tensor:
    index = 0
    for out in VGG11:
        if out == "M":
            x, index = F.max_pool2d(x, 2), index + 1
            continue
        weight, bias = p[f"features.{index}.weight"], p[f"features.{index}.bias"]
        x = (
            norm_block(x, weight, p, "features.0.bn", bank(3), 1, bias)
            if index == 0
            else linear_block(x, weight, bank(3), 1, bias)
        )
        x = norm(x, p, f"features.{index + 1}") if norms else x
        x, index = F.relu(x), index + (3 if norms else 2)
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    for layer in (0, 3):
        x = F.relu(F.linear(x, p[f"classifier.{layer}.weight"], p[f"classifier.{layer}.bias"]))
    return F.linear(x, p["classifier.6.weight"], p["classifier.6.bias"])


# --- SE-ResNeXt-14 8x4d ---


def draw_se_resnext14() -> State:
    draw = Draw()
    draw.weight("conv1.weight", 64, 3 * 49, 1, 1)
    draw.norm("conv1.bn", 3 * 49, affine=False)
    draw.norm("bn1", 64)
    into = 64
    for stage, planes in enumerate((64, 128, 256, 512), start=1):
        key, width, out = f"layer{stage}.0", planes * 4 // 64 * 8, planes * 4
        draw.weight(f"{key}.conv1.weight", width, into, 1, 1)
        draw.weight(f"{key}.conv2.weight", width, width // 8, 9, 1, 1)
        draw.weight(f"{key}.conv3.weight", out, width, 1, 1)
        for index, channels in enumerate((width, width, out), start=1):
            draw.norm(f"{key}.bn{index}", channels)
        for index, (a, b) in enumerate(((planes // 4, out), (out, planes // 4)), start=1):
            draw.weight(f"{key}.se.fc{index}.weight", a, b, 1, 1)
            draw.state[f"{key}.se.fc{index}.bias"] = torch.randn(a, generator=draw.rng) * 0.1
        draw.weight(f"{key}.downsample.1.weight", out, into, 1, 1)
        draw.norm(f"{key}.downsample.2", out)
        into = out
    draw.linear("fc", 4, 2048)
    return draw.state


def original_se_resnext14(x: Tensor, p: State) -> Tensor:
    x = F.relu(norm(norm_block(x, p["conv1.weight"], p, "conv1.bn", bank(7), 2), p, "bn1"))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage in range(1, 5):
        key, stride = f"layer{stage}.0", 1 if stage == 1 else 2
        y = F.relu(norm(F.conv2d(x, p[f"{key}.conv1.weight"]), p, f"{key}.bn1"))
        y = F.relu(norm(linear_block(y, p[f"{key}.conv2.weight"], bank(3), stride, groups=8), p, f"{key}.bn2"))
        y = norm(F.conv2d(y, p[f"{key}.conv3.weight"]), p, f"{key}.bn3")
        gate = F.relu(F.conv2d(y.mean((2, 3), keepdim=True), p[f"{key}.se.fc1.weight"], p[f"{key}.se.fc1.bias"]))
        y = y * torch.sigmoid(F.conv2d(gate, p[f"{key}.se.fc2.weight"], p[f"{key}.se.fc2.bias"]))
        x = F.avg_pool2d(x, stride, stride, ceil_mode=True, count_include_pad=False)
        x = F.relu(y + norm(F.conv2d(x, p[f"{key}.downsample.1.weight"]), p, f"{key}.downsample.2"))
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])
