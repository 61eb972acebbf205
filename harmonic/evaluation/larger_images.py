"""Evaluation of a network on larger images than it was trained on, as the SE-ResNeXts were published at 320 pixels.

Source: Ulicny, Krylov, Dahyot, "Harmonic Convolutional Networks based on DCT", Pattern Recognition 129, 2022.
"""

from collections.abc import Callable
from dataclasses import replace

import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import ZooError
from harmonic.evaluation.evaluate import NetworkPredictor, Predictor, open_predictor

_NATIVE_MAP = 7  # side of the last feature map at 224 pixels


class TestTimePool(nn.Module):
    """Classify every 7 x 7 window of the last feature map; answer the mean of the average and the largest logits.

    network: the whole, which owns the parameters. features: its way from images to the last feature map (N, C, H, W), H
    and W at least 7. head: its linear layer.
    """

    __test__ = False  # no test, whatever its name says

    def __init__(self, network: nn.Module, features: Callable[[Tensor], Tensor], head: nn.Linear) -> None:
        super().__init__()
        self.network, self.features, self.head = network, features, head

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        windows = F.avg_pool2d(self.features(x), _NATIVE_MAP, stride=1)
        logits: Tensor = self.head(windows.permute(0, 2, 3, 1)).flatten(1, 2)
        return 0.5 * (logits.mean(dim=1) + logits.amax(dim=1))


def open_resized(target: str, side: int | None, pooled: bool) -> Predictor:
    """The predictor of a target, on another size where `side` is given, with pooling at test time where asked for.

    Raises ZooError where the target is not a bundle, whose network alone takes other sizes.
    """
    predictor = open_predictor(target)
    if side is None and not pooled:
        return predictor
    if not isinstance(predictor, NetworkPredictor):
        raise ZooError(f"{target} takes images of one size as they are; --size and --test-time-pooling need a bundle.")
    resized = with_input_side(predictor, side) if side else predictor
    return with_test_time_pooling(resized) if pooled else resized


def with_input_side(predictor: NetworkPredictor, side: int) -> NetworkPredictor:
    """The same network on images of another size, in pixels a side; scaling and cutting keep their proportion.

    ZooError for a size that a network of many sizes does not read.
    """
    spec = predictor.pixels
    if spec.fit == "spectral" and not spec.smallest <= side <= spec.height:
        raise ZooError(f"this network reads images of {spec.smallest} to {spec.height} pixels, not of {side}.")
    return replace(predictor, pixels=predictor.pixels.model_copy(update={"height": side, "width": side}))


def with_test_time_pooling(predictor: NetworkPredictor) -> NetworkPredictor:
    """Pool at test time and cut nothing off, where the images are larger than the 224 pixels of training.

    At 224 pixels or below nothing changes, as published. Raises ZooError for a network without a map and linear head.
    """
    if max(predictor.pixels.height, predictor.pixels.width) <= 32 * _NATIVE_MAP:
        return predictor
    network = predictor.network
    if isinstance(network, torchvision.models.ResNet):
        stem = (network.conv1, network.bn1, network.relu, network.maxpool)
        features: Callable[[Tensor], Tensor] | None = nn.Sequential(
            *stem, network.layer1, network.layer2, network.layer3, network.layer4
        )
    else:
        features = getattr(network, "forward_features", None)
    head = getattr(network, "fc", None)
    if features is None or not isinstance(head, nn.Linear):
        raise ZooError("test-time pooling needs a ResNet or SE-ResNeXt: a last feature map, then one linear layer.")
    pooled = TestTimePool(network, features, head)
    return replace(predictor, network=pooled, pixels=predictor.pixels.model_copy(update={"crop_fraction": 1.0}))
