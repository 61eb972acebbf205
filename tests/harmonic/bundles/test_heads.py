"""A network gets a new last layer, and keeps everything else."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harmonic import zoo
from harmonic.bundles import Bundle, Card, adopt, bundle, with_joined_stages, with_new_head
from harmonic.errors import FeatureError, ZooError
from harmonic.graph import BODY
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


def test_joined_stages_keep_weights_and_spectrum_and_are_loaded_again(tmp_path: Path) -> None:
    plain = start("torchvision/resnet18", classes=3)
    plain = Bundle(plain.card.model_copy(update={"pixels": PixelSpec(height=64, width=64)}), plain.model)
    old, _ = adopt.converted(plain)
    headed = with_joined_stages(old)
    made = headed.bundle
    assert made.card.arguments["joined"] == ["layer2", "layer3", "layer4"]
    assert set(made.card.arguments["spectrum"]) == {f"{BODY}.{name}" for name in old.card.arguments["spectrum"]}
    bundle.save(made, tmp_path / "made")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(bundle.load(tmp_path / "made").model.eval()(images), made.model(images))
        torch.testing.assert_close(made.model.backbone(images)[-1], _fourth_stage(old.model, images))
    again = with_new_head(made, ("a", "b"))
    assert (again.layer, again.head.out_features) == (headed.layer, 2)
    with pytest.raises(FeatureError, match="joins stages already"):
        with_joined_stages(made)


def _fourth_stage(model: nn.Module, images: Tensor) -> Tensor:
    caught: list[Tensor] = []
    hook = model.get_submodule("layer4").register_forward_hook(lambda _module, _given, found: caught.append(found))
    model.eval()(images)
    hook.remove()
    return caught[0]
