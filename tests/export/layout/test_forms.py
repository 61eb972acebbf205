"""The law of forms: whatever its geometry, each form answers what PyTorch's layer answers."""

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.layout import Place, layer_graph, multiplications, places, possible_forms, rewritten
from export.layout.choice import fewest_multiplications
from export.layout.timing import serialised, session
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, HarmonicConv2d
from tests.support.convolutions import convolutions
from tests.support.laws import randomised

LEVELS = (1, 2, 3, None)
GEOMETRIES: list[dict[str, Any]] = [
    {"padding": 1},
    {"padding": 1, "stride": 2},
    {"padding": 0},
    {"padding": 2, "dilation": 2},
    {"padding": (2, 1), "stride": (1, 2)},
    {"padding": 1, "groups": 2},
    {"padding": 1, "groups": 2, "stride": 2},
    {"padding": 4, "bias": False},
    {"padding": 2, "kernel_size": 5},
    {"padding": (2, 0), "kernel_size": (5, 1)},
    {"padding": 2, "kernel_size": 4, "bank": "hadamard"},
    {"padding": 1, "bank": "gaussian"},
]


def _place(layer: nn.Module, size: tuple[int, int]) -> tuple[onnx.ModelProto, Place]:
    model = convolutions(layer.as_conv2d(), size=size)
    (place,) = places(model)
    return model, place


@pytest.mark.parametrize(("geometry", "level"), list(product(GEOMETRIES, LEVELS)))
def test_every_form_answers_as_the_layer(geometry: dict[str, Any], level: int | None) -> None:
    torch.manual_seed(0)
    layer = HarmonicConv2d(8, 12, **{"kernel_size": 3, "level": level, **geometry}).eval()
    nn.init.normal_(layer.weight)
    model, place = _place(layer, (9, 11))
    x = torch.randn(2, 8, 9, 11)
    expected = layer(x).detach().numpy()
    for form in possible_forms(place.convolution):
        (found,) = session(serialised(rewritten(model, [(place, form)]))).run(None, {"x": x.numpy()})
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), form


def test_every_form_is_possible_for_a_usual_layer() -> None:
    _, place = _place(HarmonicConv2d(8, 8, level=2, padding=1), (8, 8))
    names = ("fused", "bands", "pooled", "stacked", "mixed", "grouped", "separable", "winograd_4x4", "winograd_2x1")
    assert set(names) <= set(possible_forms(place.convolution))


def test_a_band_normed_layer_is_factored_too() -> None:
    layer = randomised(BandNormConv2d(4, 8, 3, level=2, padding=1)).eval()
    model, place = _place(layer, (8, 8))
    assert place.convolution.filters == 3
    x = torch.randn(2, 4, 8, 8)
    expected = layer(x).detach().numpy()
    (found,) = session(serialised(rewritten(model, [(place, "bands")]))).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_borders_of_a_pooled_layer_count_zeros() -> None:
    layer = HarmonicConv2d(2, 2, level=1, padding=1, bias=False)
    model, place = _place(layer, (3, 3))
    ones = np.ones((1, 2, 3, 3), np.float32)
    (found,) = session(serialised(rewritten(model, [(place, "pooled")]))).run(None, {"x": ones})
    np.testing.assert_allclose(found[0, :, 0, 0], found[0, :, 1, 1] * 4 / 9, rtol=1e-5)


def test_a_layer_is_timed_between_others() -> None:
    _, place = _place(HarmonicConv2d(8, 8, level=2, padding=1), (8, 8))
    operators = [node.op_type for node in layer_graph(place.convolution, "bands").graph.node]
    assert operators[1] == "Relu"
    assert operators[-2:] == ["Relu", "GlobalAveragePool"]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_form_answers_as_a_layer_of_a_set_of_bands(geometry: dict[str, Any]) -> None:
    torch.manual_seed(0)
    bands = HarmonicConv2d(8, 12, **geometry).weight[0].numel()
    mask = torch.rand(bands) < 0.4
    mask[: bands * geometry.get("groups", 1) // 8] = False  # nothing of the first channel
    layer = BandSetConv2d(8, 12, **geometry, kept=BandSet.of_mask(mask)).eval()
    model, place = _place(layer, (9, 11))
    forms = possible_forms(place.convolution)
    assert "picked" in forms
    assert ("narrowed" in forms) == (layer.groups == 1)
    assert int(place.convolution.span.bands.sum()) == len(layer.kept.numbers)
    x = torch.randn(2, 8, 9, 11)
    expected = layer(x).detach().numpy()
    for form in forms:
        (found,) = session(serialised(rewritten(model, [(place, form)]))).run(None, {"x": x.numpy()})
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), form


def test_a_set_multiplies_as_often_as_compression_counts() -> None:
    """Each band's filter and its weights, at every position: so a budget in multiplications is one of the graph."""
    layer = BandSetConv2d(32, 48, padding=1, bias=False, kept=BandSet(288, tuple(range(0, 288, 4)))).eval()
    model, place = _place(layer, (8, 8))
    assert multiplications(rewritten(model, [(place, "picked")])) == 64 * (72 * 9 + 48 * 72)
    assert multiplications(model) == 64 * 48 * 32 * 9
    assert [choice.form for choice in fewest_multiplications([place])] == ["picked"]


def test_a_layer_without_sets_is_not_picked() -> None:
    _, place = _place(HarmonicConv2d(8, 8, level=2, padding=1), (8, 8))
    assert not {"picked", "narrowed"} & set(possible_forms(place.convolution))
