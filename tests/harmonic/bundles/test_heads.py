"""A network gets a new last layer, and keeps everything else."""

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import Bundle, Card, with_new_head
from harmonic.errors import FeatureError, ZooError
from harmonic.pixels import PixelSpec


def start(architecture: str, classes: int, **arguments: object) -> Bundle:
    torch.manual_seed(1)
    names = tuple(f"old{number}" for number in range(classes))
    card = Card(architecture=architecture, arguments=arguments, classes=names, pixels=PixelSpec(height=8, width=8))
    return Bundle(card, zoo.create(architecture, classes, **arguments).eval())


@pytest.mark.parametrize("architecture", ["harm_wrn10_0.5", "torchvision/squeezenet1_1"])
def test_everything_below_the_head_stays(architecture: str) -> None:
    old = start(architecture, classes=3, **({"level": 2} if "wrn" in architecture else {}))
    headed = with_new_head(old, ("a", "b", "c"))  # as many as before: the shapes do not tell the head
    own = {**old.card.arguments, **({"bare_head": True} if "squeezenet" in architecture else {})}
    assert (headed.bundle.card.classes, headed.bundle.card.arguments) == (("a", "b", "c"), own)
    for name, tensor in headed.bundle.model.state_dict().items():
        if not name.startswith(f"{headed.layer}."):
            assert torch.equal(tensor, old.model.state_dict()[name]), name
    assert not torch.equal(headed.head.weight, old.model.get_submodule(headed.layer).weight)


def test_a_network_without_one_linear_last_layer_is_refused() -> None:
    with pytest.raises(FeatureError, match="does not end in one linear layer"):
        with_new_head(start("timm/efficientformerv2_s0", classes=3), ("a", "b"))  # it has two heads


def test_a_new_head_may_answer_less_than_nothing() -> None:
    """SqueezeNet's own ends in a ReLU."""
    made = with_new_head(start("torchvision/squeezenet1_1", classes=3), ("a", "b"))
    torch.nn.init.constant_(made.head.bias, -9.0)
    with torch.inference_mode():
        assert (made.bundle.model(torch.zeros(1, 3, 32, 32)) < -5).all()
    again = with_new_head(made.bundle, ("a", "b", "c"))
    assert again.bundle.card.arguments == made.bundle.card.arguments


def test_a_bare_head_is_refused_where_there_is_no_relu() -> None:
    with pytest.raises(ZooError, match="has no ReLU behind its last layer"):
        zoo.create("torchvision/resnet18", 3, bare_head=True)
