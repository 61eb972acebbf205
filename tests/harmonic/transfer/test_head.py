"""A network's last layer is replaced, and answers what the linear classifier on its features answers."""

import numpy as np
import pytest
import torch

from harmonic import zoo
from harmonic.bundles import Bundle, Card, probabilities, with_new_head
from harmonic.errors import FeatureError
from harmonic.pixels import PixelSpec
from harmonic.transfer.head import features_of, set_head

SPEC = PixelSpec(height=40, width=40)
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8))


def backbone(architecture: str, classes: int = 4, **arguments: object) -> Bundle:
    torch.manual_seed(1)
    model = zoo.create(architecture, classes, **arguments).eval()
    names = tuple(f"old{number}" for number in range(classes))
    return Bundle(Card(architecture=architecture, arguments=arguments, classes=names, pixels=SPEC), model)


@pytest.mark.parametrize(
    "architecture",
    ["harm_wrn10_0.5", "torchvision/squeezenet1_1", "torchvision/mobilenet_v3_small", "timm/test_efficientnet"],
)
@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_the_network_answers_as_the_linear_classifier_does(architecture: str, classes: tuple[str, ...]) -> None:
    headed = with_new_head(backbone(architecture), classes)
    features = features_of(headed, IMAGES).numpy()
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(len(classes), features.shape[1])).astype(np.float32)
    bias = rng.normal(size=len(classes)).astype(np.float32)
    set_head(headed, weight, bias, IMAGES)
    logits = features @ weight.T + bias
    wanted = np.exp(logits - logits.max(1, keepdims=True))
    found = probabilities(headed.bundle.model, SPEC, IMAGES.numpy())
    np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), atol=1e-4)
    assert headed.bundle.card.classes == classes


def test_a_network_without_a_linear_end_is_refused() -> None:
    class Squared(torch.nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.head = torch.nn.Linear(3, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.mean(dim=(2, 3))) ** 2

    start = backbone("harm_wrn10_0.5")
    headed = with_new_head(start, ("a", "b"))
    squared = type(headed)(Bundle(headed.bundle.card, Squared(2).eval()), "head")
    with pytest.raises(FeatureError, match="does more with its last layer than to answer it"):
        set_head(squared, np.ones((2, 3), np.float32) * [[1], [2]], np.zeros(2, np.float32), IMAGES)
