"""Two classifiers side by side: paired counts, an exact test, larger images, pooling at test time."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from harmonic import zoo
from harmonic.bundles import Bundle, Card, bundle
from harmonic.errors import DataError, ZooError
from harmonic.evaluation.comparison import compare, mcnemar
from harmonic.evaluation.evaluate import Evaluation, NetworkPredictor
from harmonic.evaluation.larger_images import with_input_side, with_test_time_pooling
from harmonic.pixels import PixelSpec
from tests.support.commands import done

CLASSES = ("cat", "dog", "fox")


def evaluation(answers: list[int], labels: list[int]) -> Evaluation:
    return Evaluation("images", CLASSES, np.array(labels), np.eye(3)[answers], 1.0)


def test_images_are_counted_by_who_is_right():
    found = compare(evaluation([0, 1, 2, 0], [0, 1, 1, 1]), evaluation([0, 0, 1, 2], [0, 1, 1, 1]))
    assert (found.both, found.only_first, found.only_second, found.neither) == (1, 1, 1, 1)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 0), (8, 2), (10, 10), (30, 12)])
def test_the_p_value_is_the_exact_binomial_one(b, c):
    n = b + c
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    assert mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(b, c) == mcnemar(c, b)


def test_large_counts_neither_overflow_nor_vanish():
    assert mcnemar(50_000, 50_000) == pytest.approx(1.0)
    assert 0 < mcnemar(5_200, 4_800) < 1e-4


def test_evaluations_of_other_images_cannot_be_paired():
    with pytest.raises(DataError, match="same images"):
        compare(evaluation([0, 1], [0, 1]), evaluation([0, 1], [0, 2]))


def predictor(name: str, **arguments) -> NetworkPredictor:
    torch.manual_seed(0)
    return NetworkPredictor(
        zoo.create(name, 3, **arguments).eval(), CLASSES, PixelSpec(height=224, width=224, crop_fraction=0.875)
    )


@pytest.mark.parametrize("name", ["harm_resnet18", "harm_se_resnext14_8x4d"])
def test_pooling_at_320_pixels_is_the_published_one(name):
    pooled = with_test_time_pooling(with_input_side(predictor(name), 320))
    network = pooled.network.network
    x = torch.randn(2, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    maps = {}
    network.layer4.register_forward_hook(lambda module, inputs, output: maps.update(last=output))
    with torch.no_grad():
        network(x)
        windows = F.avg_pool2d(maps["last"], 7, 1)
        logits = F.conv2d(windows, network.fc.weight[:, :, None, None], network.fc.bias)
        expected = (F.adaptive_avg_pool2d(logits, 1) + F.adaptive_max_pool2d(logits, 1)).flatten(1) / 2
        torch.testing.assert_close(pooled.network(x), expected, rtol=1e-5, atol=1e-5)
    assert maps["last"].shape[-2:] == (10, 10)
    assert (pooled.pixels.height, pooled.pixels.crop_fraction) == (320, 1.0)


def test_nothing_is_pooled_at_the_size_of_training():
    own = predictor("harm_resnet18")
    assert with_test_time_pooling(own) is own


def test_a_network_without_a_map_and_a_linear_head_is_refused():
    with pytest.raises(ZooError, match="test-time pooling needs"):
        with_test_time_pooling(with_input_side(predictor("torchvision/squeezenet1_1"), 320))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    for seed in (1, 2):
        torch.manual_seed(seed)
        card = Card(architecture="cifar_resnet8", classes=CLASSES, pixels=PixelSpec(height=32, width=32))
        bundle.save(Bundle(card, zoo.create("cifar_resnet8", 3)), tmp_path / f"bundle{seed}")
    return tmp_path


def test_the_command_measures_two_bundles_on_the_same_images(folder):
    arguments = ["evaluate", folder / "bundle1", "--data", folder / "images", "--against", folder / "bundle2"]
    figures = json.loads(done(*arguments, "--json"))
    paired = figures["against"]
    assert paired["both"] + paired["only_first"] + paired["only_second"] + paired["neither"] == figures["images"] == 12
    assert figures["top1"] * 12 == pytest.approx(paired["both"] + paired["only_first"])
    assert "p-value" in done(*arguments)


def test_the_command_measures_at_another_size(folder):
    shown = done("evaluate", folder / "bundle1", "--data", folder / "images", "--size", "48", "--json")
    assert json.loads(shown)["images"] == 12
