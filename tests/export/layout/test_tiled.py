"""Whatever the sizes, pads and batches, tiles of the map give the convolution's answers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn

from export.layout import Place, multiplications, places, possible_forms, rewritten
from export.layout.timing import serialised, session
from export.runtime import ort
from harmonic.layers import HarmonicConv2d
from tests.support.convolutions import convolutions

TILED = {"winograd_4x4": (4, 4), "winograd_2x2": (2, 2), "winograd_4x1": (4, 1), "winograd_2x1": (2, 1)}


def _places(*layers: nn.Conv2d, size: tuple[int, int]) -> tuple[onnx.ModelProto, list[Place]]:
    model = convolutions(*layers, size=size)
    return model, places(model)


def _tiled_forms(place: Place) -> set[str]:
    return {form for form in possible_forms(place.convolution) if form.startswith("winograd")}


def _answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return np.asarray(session(serialised(model)).run(None, {"x": x})[0])


@settings(max_examples=25, deadline=None)
@given(
    form=some.sampled_from(list(TILED)),
    taps=some.tuples(some.integers(2, 5), some.integers(1, 5)),
    size=some.tuples(some.integers(5, 14), some.integers(5, 14)),
    pads=some.tuples(some.integers(0, 3), some.integers(0, 3), some.integers(0, 3), some.integers(0, 3)),
    channels=some.tuples(some.integers(2, 17), some.integers(1, 17)),
    batch=some.integers(1, 3),
    bias=some.booleans(),
    seed=some.integers(0, 9),
)
def test_tiles_of_any_map_give_the_convolution(
    form: str,
    taps: tuple[int, int],
    size: tuple[int, int],
    pads: tuple[int, int, int, int],
    channels: tuple[int, int],
    batch: int,
    bias: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    model = convolutions(nn.Conv2d(*channels, taps, bias=bias), size=size)
    next(each for each in model.graph.node[0].attribute if each.name == "pads").ints[:] = pads
    (place,) = places(model)
    outputs = TILED[form]
    fits = all(tile == 1 or (side > 1 and tile + side <= 7) for tile, side in zip(outputs, taps, strict=True))
    assert (form in _tiled_forms(place)) == fits
    if fits:
        new = rewritten(model, [(place, form)])
        onnx.checker.check_model(new, full_check=True)
        x = np.random.default_rng(seed).normal(size=(batch, channels[0], *size)).astype(np.float32)
        expected = _answer(model, x)
        assert np.abs(_answer(new, x) - expected).max() <= 2e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("form", TILED)
@pytest.mark.parametrize("level", [2, 3, None])
def test_a_deep_layer_is_rounded_little_and_its_file_does_not_grow(form: str, level: int | None) -> None:
    torch.manual_seed(0)
    layers = [HarmonicConv2d(128, 128, level=level, padding=1).as_conv2d() for _ in range(2)]
    model, found = _places(*layers, size=(8, 8))
    new = rewritten(model, [(place, form) for place in found])
    # With the fixed filters that take pixels to the points, which all layers of one width share.
    assert new.ByteSize() < 1.25 * model.ByteSize() * found[0].convolution.filters / 9
    x = np.random.default_rng(0).normal(size=(2, 128, 8, 8)).astype(np.float32)
    expected = _answer(model, x)
    assert np.abs(_answer(new, x) - expected).max() <= 1e-5 * np.abs(expected).max()
    again = _answer(new, x[:1])
    np.testing.assert_allclose(again, expected[:1], atol=1e-5 * np.abs(expected).max())


def test_a_tile_multiplies_as_often_as_it_has_points() -> None:
    model, found = _places(nn.Conv2d(256, 256, 3, padding=1), size=(16, 16))
    costs = {form: multiplications(rewritten(model, [(found[0], form)])) / multiplications(model) for form in TILED}
    # 36 points for 16 outputs of 9 taps; what takes pixels there and back costs less than a tenth here.
    least = {"winograd_4x4": 36 / 144, "winograd_2x2": 16 / 36, "winograd_4x1": 6 / 12, "winograd_2x1": 4 / 6}
    for form, share in least.items():
        assert share < costs[form] < share + 0.1, form


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, dilation=2),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, 7, padding=3),
        nn.Conv2d(8, 8, (1, 7)),
    ],
)
def test_layers_that_stride_or_reach_too_far_have_no_tiles(layer: nn.Conv2d) -> None:
    assert not _tiled_forms(_places(layer, size=(9, 9))[1][0])


def test_kernels_are_taken_to_the_points_when_the_graph_is_opened(tmp_path: Path) -> None:
    """What runs at every call multiplies no constants with constants."""
    model, found = _places(nn.Conv2d(32, 32, 3, padding=1), size=(8, 8))
    new = rewritten(model, [(found[0], "winograd_2x2")])
    folded = _as_opened(new, tmp_path / "opened.onnx")
    constants = {tensor.name for tensor in folded.graph.initializer}
    assert len(folded.graph.node) < len(new.graph.node)
    assert not [node for node in folded.graph.node if node.op_type == "MatMul" and constants.issuperset(node.input)]


def _as_opened(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(serialised(model), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)
