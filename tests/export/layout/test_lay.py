"""A graph is laid out only where that pays, and then answers as before."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.layout import LayoutOrder, Memory, lay, lay_out, layouts_of, multiplications, places, possible_forms
from export.layout.memory import shape
from export.layout.timing import session
from harmonic.layers import BandSet, BandSetConv2d, HarmonicConv2d
from tests.support.convolutions import convolutions

SIZE, CHANNELS = (12, 12), 64
IMAGES = np.random.default_rng(0).normal(size=(8, CHANNELS, *SIZE)).astype(np.float32)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "cache" / "layouts.json", "this machine")


def _graph(folder: Path, *levels: int | None) -> Path:
    torch.manual_seed(0)
    layers = [HarmonicConv2d(CHANNELS, CHANNELS, level=level, padding=1).as_conv2d() for level in levels]
    onnx.save(convolutions(*layers, size=SIZE), folder / "model.onnx")
    return folder / "model.onnx"


def _answers(path: Path) -> np.ndarray:
    return np.asarray(session(path).run(None, {"x": IMAGES})[0])


def test_a_factored_graph_multiplies_less_is_smaller_and_answers_alike(tmp_path: Path, memory: Memory) -> None:
    path = _graph(tmp_path, 2, 3, None)
    before, fused, size = _answers(path), onnx.load(path), path.stat().st_size
    plan = lay_out(path, "factored", IMAGES, print, memory)
    assert plan is not None
    assert plan.multiplications == (multiplications(fused), multiplications(onnx.load(path)))
    assert plan.multiplications[1] < 0.75 * plan.multiplications[0]
    assert path.stat().st_size < 0.75 * size
    assert [(layer.layer, layer.filters, layer.of) for layer in plan.layers] == [("layers.0", 3, 9), ("layers.1", 6, 9)]
    assert (plan.gains, plan.device) == ({}, None)
    np.testing.assert_allclose(_answers(path), before, atol=1e-5 * np.abs(before).max())


def test_layers_of_sets_of_bands_are_factored_too(tmp_path: Path, memory: Memory) -> None:
    """A quarter of the bands, scattered over all channels and filters."""
    torch.manual_seed(0)
    layer = BandSetConv2d(CHANNELS, CHANNELS, padding=1, kept=BandSet(576, tuple(range(0, 576, 4))))
    path = tmp_path / "model.onnx"
    onnx.save(convolutions(layer.as_conv2d(), size=SIZE), path)
    before, size = _answers(path), path.stat().st_size
    plan = lay_out(path, "factored", IMAGES, print, memory)
    assert plan is not None
    assert [each.form for each in plan.layers] == ["picked"]
    assert plan.multiplications[1] < 0.3 * plan.multiplications[0]
    assert path.stat().st_size < 0.4 * size
    np.testing.assert_allclose(_answers(path), before, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize(("order", "levels"), [("fused", (2, 2)), ("auto", (None,)), ("factored", (None,))])
def test_a_graph_stays_as_it_is_where_that_is_the_order_or_nothing_is_truncated(
    order: LayoutOrder, levels: tuple[int | None, ...], tmp_path: Path, memory: Memory
) -> None:
    path = _graph(tmp_path, *levels)
    before = path.read_bytes()
    assert lay_out(path, order, IMAGES, _never, memory) is None
    assert path.read_bytes() == before


def _never(_: str) -> None:
    pytest.fail("nothing is to be measured")


def test_what_is_fastest_is_measured_once_for_each_shape(tmp_path: Path, memory: Memory) -> None:
    """One filter of nine takes a ninth of the multiplications: faster on any machine."""
    path, told = _graph(tmp_path, 1, 1, 1), list[str]()
    plan = lay_out(path, "auto", IMAGES, told.append, memory)
    assert plan is not None
    assert sum("measuring" in step for step in told) == 1
    assert set(plan.gains) == {1, 8}
    assert min(plan.gains.values()) > 1
    assert plan.device
    lay_out(_graph(tmp_path, 1), "auto", IMAGES, told.append, memory)
    assert sum("measuring" in step for step in told) == 1, "remembered"


def _remember(memory: Memory, path: Path, times: Callable[[str], float]) -> None:
    for place in places(onnx.load(path)):
        forms = possible_forms(place.convolution)
        memory.keep(shape(place.convolution), {form: [times(form)] * 2 for form in forms})


def test_a_plan_that_does_not_keep_its_promise_is_dropped(tmp_path: Path, memory: Memory) -> None:
    path = _graph(tmp_path, 3)
    # A memory that says the slowest form is the fastest.
    _remember(memory, path, lambda form: {"fused": 1.0, "grouped": 0.1}.get(form, 2.0))
    before, told = path.read_bytes(), list[str]()
    assert lay_out(path, "auto", IMAGES, told.append, memory) is None
    assert path.read_bytes() == before
    assert told[-1] == "the fused layout is the fastest here"


def test_where_fused_is_the_fastest_nothing_else_is_tried(tmp_path: Path, memory: Memory) -> None:
    path, told = _graph(tmp_path, 2), list[str]()
    _remember(memory, path, lambda form: 1.0 if form == "fused" else 1.5)
    assert lay_out(path, "auto", IMAGES, told.append, memory) is None
    assert told == ["the fused layout is the fastest here"]


def test_a_form_must_be_faster_for_a_lone_caller_too(tmp_path: Path, memory: Memory) -> None:
    path, told = _graph(tmp_path, 2), list[str]()
    _remember(memory, path, lambda form: 1.0)
    (known,) = {shape(place.convolution) for place in places(onnx.load(path))}
    memory.keep(known, {"fused": [1.0, 1.0], "bands": [1.1, 0.1]})
    assert lay_out(path, "auto", IMAGES, told.append, memory) is None


def test_one_network_is_always_laid_out_alike_whatever_its_weights(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two races of one network may end otherwise where its layouts are about as fast; so there is one."""
    races: list[dict[int, float]] = [{1: 1.5, 8: 1.2}, {1: 1.5, 8: 0.9}]
    monkeypatch.setattr(lay, "raced", lambda *_: races.pop(0))
    path = _graph(tmp_path, 2)
    _remember(memory, path, lambda form: 2.0 if form == "fused" else 1.0)
    first = lay_out(path, "auto", IMAGES, print, memory)
    torch.manual_seed(1)
    model = convolutions(HarmonicConv2d(CHANNELS, CHANNELS, level=2, padding=1).as_conv2d(), size=SIZE)
    onnx.save(model, path)
    assert lay_out(path, "auto", IMAGES, print, memory) == first
    assert first is not None and first.gains == {1: 1.5, 8: 1.2}
    assert len(races) == 1
    assert lay_out(_graph(tmp_path, 2, 2), "auto", IMAGES, print, memory) is None
    assert not races


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema_version": 99, "devices": {}}', "{"])
def test_a_memory_that_cannot_be_read_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "layouts.json").write_text(content)
    memory = Memory(tmp_path / "layouts.json", "this machine")
    assert memory.times("a shape") is None
    memory.keep("a shape", {"fused": [1.0, 2.0]})
    assert memory.times("a shape") == {"fused": [1.0, 2.0]}
    assert Memory(tmp_path / "layouts.json", "another machine").times("a shape") is None
    assert [path.name for path in tmp_path.iterdir()] == ["layouts.json"]


@pytest.mark.parametrize(
    "times",
    ["fast", [], {}, {"fused": 1.0}, {"fused": [1.0]}, {"fused": [1.0, 0.0]}, {"fused": [1.0, "2"]}, {"fused": None}],
)
def test_what_is_no_time_was_never_measured(times: object, tmp_path: Path) -> None:
    path = tmp_path / "layouts.json"
    path.write_text(json.dumps({"schema_version": 1, "devices": {"this machine": {"a shape": times}, "odd": 3}}))
    assert Memory(path, "this machine").times("a shape") is None
    odd = Memory(path, "odd")
    assert odd.times("a shape") is None
    odd.keep("a shape", {"fused": [1.0, 2.0]})
    assert odd.times("a shape") == {"fused": [1.0, 2.0]}


def test_images_that_are_answered_otherwise_keep_the_graph_fused(tmp_path: Path, memory: Memory) -> None:
    path, told = _graph(tmp_path, 1), list[str]()
    broken = np.full_like(IMAGES, np.nan)
    assert lay_out(path, "auto", broken, told.append, memory) is None
    assert any("answers otherwise" in step for step in told)


def test_the_layouts_of_a_network_are_the_one_that_was_taken_and_another(tmp_path: Path, memory: Memory) -> None:
    path = _graph(tmp_path, 1, None)
    fused = onnx.load(path)
    least = layouts_of(fused, path, None)
    assert list(least) == ["fused", "factored"]
    assert multiplications(least["factored"]) < 0.7 * multiplications(least["fused"])
    plan = lay_out(path, "factored", IMAGES, print, memory)
    taken = layouts_of(fused, path, plan)
    assert list(taken) == ["factored", "fused"]
    assert taken["factored"] == onnx.load(path)
    assert taken["fused"] == fused
    whole = onnx.load(_graph(tmp_path, None))
    assert list(layouts_of(whole, path, None)) == ["fused"]
