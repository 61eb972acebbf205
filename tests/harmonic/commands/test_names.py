"""A name that does not exist is answered with those that may have been meant, and never with something else's fault."""

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.near import near
from tests.support.commands import done, refused


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("torchvision/resnet5", "torchvision has no classifier 'resnet5'. Near: resnet50"),
        ("torchvision/squeezenet", "squeezenet1_"),
        ("timm/convnext_ato", "timm has no classifier 'convnext_ato'. Near: convnext_atto"),
        ("timm/resnet50.a1_in2k", "timm has no classifier 'resnet50.a1_in2k'. Near: resnet50.a1_in1k"),
        ("densenet121", "there is no architecture 'densenet121'. Near: torchvision/densenet121, timm/densenet121"),
        ("timm/ResNet-50", "timm has no classifier 'ResNet-50'. Near: resnet50."),
        ("harm_resnet-50", "Near: harm_resnet50"),
        ("harm_wrn28x10", "Near: harm_wrn28_10"),
        ("runs/mine/bundel", "'runs/mine/bundel' is neither a bundle's folder nor an architecture"),
    ],
)
def test_a_network_that_does_not_exist_is_answered_with_those_that_do(tmp_path, typed, meant):
    said = refused("convert", typed, "--out", tmp_path / "new")
    assert meant in said
    assert "network connection" not in said


def test_a_network_without_weights_is_no_matter_of_the_connection(tmp_path):
    said = refused("convert", "timm/resnet50t", "--out", tmp_path / "new")
    assert said == "timm has no weights of resnet50t. Give a file: --weights FILE."


def test_nothing_is_offered_where_nothing_is_like_it():
    assert near("zebra", ["harm_resnet50", "wrn16_8"]) == ""
    with pytest.raises(zoo.registry.ZooError, match=r"there is no architecture 'q'. `harmonic models` lists all."):
        zoo.create("q", 2)


def test_a_recipe_that_does_not_exist_is_answered_with_the_nearest():
    said = refused("train", "cifar10-harm-wrn16-2-quik", "--data", ".")
    assert "no such recipe. Near: cifar10-harm-wrn16-2-quick, " in said


def test_a_release_that_does_not_exist_is_answered_with_the_nearest():
    assert refused("pull", "harm_resnet-50").startswith("harm_resnet-50 was not released. Near: harm_resnet50.")


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ("torchvision/squeezenet1_1", {0: "tench", 207: "golden retriever", 134: "crane bird"}),
        ("timm/test_resnet", {0: "tench", 207: "golden retriever", 517: "crane (517)"}),
    ],
)
def test_classes_of_a_hubs_network_have_the_names_that_the_hub_knows(tmp_path, architecture, names):
    torch.save(zoo.create(architecture, 1000).state_dict(), tmp_path / "net.pth")
    shown = done("convert", architecture, "--weights", tmp_path / "net.pth", "--out", tmp_path / "new")
    found = bundle.read_card(tmp_path / "new").classes
    assert {index: found[index] for index in names} == names
    assert len(found) == len(set(found)) == 1000
    assert "The classes are tench, goldfish, great white shark, ... (1,000); --classes FILE gives other names." in shown


def test_a_network_of_a_hub_with_classes_of_its_own_has_numbers(tmp_path):
    torch.save(zoo.create("timm/test_resnet", 12).state_dict(), tmp_path / "net.pth")
    done("convert", "timm/test_resnet", "--weights", tmp_path / "net.pth", "--out", tmp_path / "new")
    assert bundle.read_card(tmp_path / "new").classes == tuple(map(str, range(12)))
