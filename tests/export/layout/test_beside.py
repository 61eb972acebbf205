"""A second graph for CPUs is written only where it is faster than the first, and then answers as the fused one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.layout import Memory, lay_beside, places, possible_forms
from export.layout.memory import shape
from export.layout.timing import session
from harmonic.layers import HarmonicConv2d
from tests.support.convolutions import convolutions, slowed

SIZE, CHANNELS = (8, 8), 96
ONE_IS_SLOWER = {"winograd_4x4": [0.9, 0.1], "bands": [0.5, 0.5]}
IMAGES = np.random.default_rng(0).normal(size=(8, CHANNELS, *SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def fused() -> onnx.ModelProto:
    torch.manual_seed(0)
    return convolutions(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2)), size=SIZE)


@pytest.fixture
def memory(tmp_path: Path, fused: onnx.ModelProto) -> Memory:
    """A machine on which tiles of four are said to be fastest, and those of two second."""
    made = Memory(tmp_path / "layouts.json", "this machine")
    remember(made, fused, {"winograd_4x4": 0.1, "winograd_2x2": 0.5})
    return made


def remember(memory: Memory, model: onnx.ModelProto, times: dict[str, float]) -> None:
    for place in places(model):
        forms = possible_forms(place.convolution)
        memory.keep(shape(place.convolution, tiles=True), {form: [times.get(form, 1.0)] * 2 for form in forms})


@pytest.fixture
def slow(fused: onnx.ModelProto, tmp_path: Path) -> Path:
    """The same answers, by more work than any form takes."""
    onnx.save(slowed(fused), tmp_path / "slow.onnx")
    return tmp_path / "slow.onnx"


def _answers(path: Path) -> np.ndarray:
    return np.asarray(session(path).run(None, {"x": IMAGES})[0])


def test_a_faster_graph_lies_beside_and_answers_alike(
    fused: onnx.ModelProto, slow: Path, memory: Memory, tmp_path: Path
) -> None:
    before = slow.read_bytes()
    found = lay_beside(fused, slow, tmp_path / "second.onnx", IMAGES, print, memory)
    assert found is not None
    assert found.gain > 1
    assert {layer.form for layer in found.plan.layers} == {"winograd_4x4"}
    assert found.plan.multiplications[1] < 0.5 * found.plan.multiplications[0]
    assert set(found.plan.gains) == {1, 8}
    expected = _answers(slow)
    np.testing.assert_allclose(_answers(tmp_path / "second.onnx"), expected, atol=2e-5 * np.abs(expected).max())
    assert slow.read_bytes() == before


def test_nothing_is_written_where_the_first_graph_is_faster(
    fused: onnx.ModelProto, memory: Memory, tmp_path: Path
) -> None:
    first = tmp_path / "first.onnx"
    onnx.save(convolutions(nn.Conv2d(CHANNELS, CHANNELS, 1), size=SIZE), first)
    told: list[str] = []
    assert lay_beside(fused, first, tmp_path / "second.onnx", IMAGES, told.append, memory) is None
    assert not (tmp_path / "second.onnx").exists()
    assert sum("times as fast" in step for step in told) == 2, "tiles of four, then those that round least"


def test_tiles_that_answer_otherwise_are_not_laid(
    fused: onnx.ModelProto, slow: Path, memory: Memory, tmp_path: Path
) -> None:
    told: list[str] = []
    broken = np.full_like(IMAGES, np.nan)
    assert lay_beside(fused, slow, tmp_path / "second.onnx", broken, told.append, memory) is None
    assert told == ["tiles of this size answer otherwise than the fused layout"] * 2


def test_tiles_that_slow_down_a_lone_caller_are_left_where_the_whole_network_is_not_faster(tmp_path: Path) -> None:
    """The first plan has tiles for both layers, the second for the layer alone that is no slower at batch 1."""
    torch.manual_seed(0)
    layers = HarmonicConv2d(96, 96, padding=1).as_conv2d(), HarmonicConv2d(96, 96, level=1, padding=1).as_conv2d()
    model, first, told = convolutions(*layers, size=SIZE), tmp_path / "first.onnx", list[str]()
    onnx.save(convolutions(nn.Conv2d(CHANNELS, CHANNELS, 1), size=SIZE), first)  # faster than both
    memory = Memory(tmp_path / "layouts.json", "this machine")
    for place, times in zip(places(model), ({"winograd_4x4": [0.5, 0.5]}, ONE_IS_SLOWER), strict=True):
        all_times = {form: times.get(form, [1.0, 1.0]) for form in possible_forms(place.convolution)}
        memory.keep(shape(place.convolution, tiles=True), all_times)
    assert lay_beside(model, first, tmp_path / "second.onnx", IMAGES, told.append, memory) is None
    assert sum("times as fast" in step for step in told) == 2


def test_without_tiles_nothing_is_raced(fused: onnx.ModelProto, slow: Path, memory: Memory, tmp_path: Path) -> None:
    remember(memory, fused, {"winograd_4x4": 2.0, "winograd_2x2": 2.0, "winograd_4x1": 2.0, "winograd_2x1": 2.0})
    assert lay_beside(fused, slow, tmp_path / "second.onnx", IMAGES, _never, memory) is None


@pytest.mark.parametrize("layer", [nn.Conv2d(32, 32, 3), nn.Conv2d(96, 96, 3, stride=2), nn.Conv2d(96, 96, 1)])
def test_narrow_strided_and_pointwise_layers_are_not_even_measured(layer: nn.Conv2d, tmp_path: Path) -> None:
    model = convolutions(layer, size=(8, 8))
    onnx.save(model, tmp_path / "first.onnx")
    images = np.zeros((8, layer.in_channels, 8, 8), np.float32)
    empty = Memory(tmp_path / "layouts.json", "this machine")
    assert lay_beside(model, tmp_path / "first.onnx", tmp_path / "second.onnx", images, _never, empty) is None


def _never(_: str) -> None:
    pytest.fail("nothing is to be measured")
