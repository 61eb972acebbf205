"""Blocks of pixels as channels: the same answers, borders included, and only where int8 gains by it."""

import numpy as np
import onnx
import pytest

from export.quantize.blocks import with_blocks
from export.quantize.making import int8_of
from tests.support.graphs import PIXELS, answer, graph_of, operators, pixels


def first_layer(options: str, taps: int = 3, groups: int = 1, side: int = 12) -> onnx.ModelProto:
    draw = np.random.default_rng(0)
    body = PIXELS + f"y = Conv <{options}> (x, weight, bias)\nm = GlobalAveragePool (y)\nlogits = Flatten (m)"
    constants = {"pixel_scale": np.full((1, 3, 1, 1), 0.02), "pixel_shift": np.full((1, 3, 1, 1), -2.0)}
    weight, bias = draw.normal(size=(6, 3 // groups, taps, taps)), draw.normal(size=6)
    return graph_of(body, 6, side=side, weight=weight, bias=bias, **constants)


@pytest.mark.parametrize(
    ("options", "taps"),
    [
        ("strides = [2, 2], pads = [3, 3, 3, 3]", 7),
        ("strides = [2, 2], pads = [1, 1, 1, 1]", 3),
        ("strides = [2, 2], pads = [0, 1, 1, 0]", 3),
        ("strides = [2, 2]", 7),
        ("strides = [4, 4]", 4),
        ("strides = [4, 4], pads = [2, 2, 2, 2]", 11),
        ("strides = [3, 3], pads = [2, 2, 2, 2]", 5),
    ],
)
def test_a_first_layer_that_moves_by_several_pixels_gives_the_same(options: str, taps: int) -> None:
    model = first_layer(options, taps)
    made, tensors = with_blocks(model)
    assert operators(made).count("SpaceToDepth") == 1
    assert len(tensors) == 1
    np.testing.assert_allclose(answer(made, pixels(side=12)), answer(model, pixels(side=12)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        "pads = [1, 1, 1, 1]",
        "strides = [2, 1]",
        "strides = [2, 2], dilations = [2, 2]",
        "strides = [2, 2], group = 3",
        "strides = [5, 5]",
    ],
)
def test_other_layers_stay(options: str) -> None:
    model = first_layer(options, groups=3 if "group" in options else 1)
    assert operators(with_blocks(model)[0]) == operators(model)


def test_a_layer_that_is_kept_stays() -> None:
    model = first_layer("strides = [2, 2]")
    (layer,) = (node.name for node in model.graph.node if node.op_type == "Conv")
    assert with_blocks(model, [layer])[1] == {}


def test_int8_reads_blocks_and_answers_nearly_the_same() -> None:
    model, images = first_layer("strides = [2, 2], pads = [1, 1, 1, 1]"), pixels(32, side=12)
    made = int8_of(model, images)
    assert "SpaceToDepth" in operators(made)
    wanted = answer(model, images)
    assert np.abs(answer(made, images) - wanted).max() < 0.02 * np.abs(wanted).max()
