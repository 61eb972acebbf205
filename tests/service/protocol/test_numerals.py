"""Large JSON tensors: read as a JSON parser reads them, without holding up everybody else."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.manifest import Manifest
from harmonic.pixels import PixelSpec
from service.errors import RequestError
from service.protocol.messages import read_request
from service.protocol.numerals import MOST_PARTS, cut_out, read_numbers
from tests.support.tensors import MANIFEST

SIDE = 160  # one image of it is more JSON than is parsed as it is
IMAGES = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
LARGE: Manifest = MANIFEST.model_copy(update={"pixels": PixelSpec(height=SIDE, width=SIDE)})


def head(data: Any, images: np.ndarray = IMAGES, **fields: Any) -> dict[str, Any]:
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": data}
    return {"inputs": [tensor | fields], "outputs": [{"name": "logits", "parameters": {"classification": 1}}]}


@pytest.mark.parametrize("data", [IMAGES.tolist(), IMAGES.ravel().tolist()])
@pytest.mark.parametrize("dump", [{}, {"separators": (",", ":")}, {"indent": 1}, {"sort_keys": True}])
def test_a_large_tensor_is_what_the_text_says(data, dump):
    asked = read_request(json.dumps(head(data), **dump).encode(), None, LARGE, 8)
    assert np.array_equal(asked.images, IMAGES)
    assert asked.wanted.classes == 1


def changed(text: str, old: str, new: str) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


TEXT = json.dumps(head(IMAGES.tolist()))
FIRST = f"[{IMAGES[0, 0, 0, 0]}, "


@pytest.mark.parametrize(
    "new",
    ["[,", "[-, ", "[-1, ", "[256, ", "[1.5, ", "[1e1, ", "[1, 2, ", "[1 1, ", "[[1], ", "[], [", "[null, ", '["1", '],
)
def test_a_large_tensor_that_is_none_is_refused_briefly(new):
    with pytest.raises(RequestError) as refusal:
        read_request(changed(TEXT, FIRST, new), None, LARGE, 8)
    assert 10 < len(refusal.value.message) < 500


@pytest.mark.parametrize("where", ["id", "name"])
def test_numbers_in_a_text_are_no_data(where):
    body = head(IMAGES.ravel().tolist())
    trap = '"data": [1, 2, 3]'
    asked = json.dumps({"id": trap} | body) if where == "id" else json.dumps(head(IMAGES.ravel().tolist(), note=trap))
    assert np.array_equal(read_request(asked.encode(), None, LARGE, 8).images, IMAGES)


def test_data_that_belong_to_no_input_are_not_its_data():
    body = json.dumps({"parameters": {"data": IMAGES.ravel().tolist()}} | head([1])).replace(
        '"data": [1]', '"dat": [1]'
    )
    with pytest.raises(RequestError):
        read_request(body.encode(), None, LARGE, 8)


@pytest.mark.parametrize("part", ["[],", "{},", "0,", '"",'])
def test_json_of_more_parts_than_a_request_has_is_refused_before_it_is_parsed(part):
    body = '{"inputs": [{"name": "images", "x": [' + part * (MOST_PARTS + 1) + "0]}]}"
    with pytest.raises(RequestError, match="parts"):
        read_request(body.encode(), None, LARGE, 8)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53), min_size=1))
def test_numbers_are_the_parsers_own(numbers):
    rest, text = cut_out(json.dumps({"data": numbers, "shape": 1}).encode())
    assert json.loads(rest) == {"data": True, "shape": 1}
    assert read_numbers("x", text, [len(numbers)], whole=False).tolist() == [float(number) for number in numbers]


def longest_wait(work: Callable[[], object]) -> float:
    """Seconds for which another thread had to wait for its turn while this was done."""
    waits, ended = [0.0], threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not ended.wait(0.0005):
            waits.append(time.perf_counter() - last)
            last = time.perf_counter()

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return max(waits)


@pytest.mark.slow  # compares milliseconds, so it wants a machine that does nothing else
def test_others_wait_far_shorter_than_for_a_parser():
    images = np.zeros((8, 224, 224, 3), np.uint8)
    body = json.dumps(head(images.tolist(), images)).encode()
    manifest = MANIFEST.model_copy(update={"pixels": PixelSpec(height=224, width=224)})
    parser = min(longest_wait(lambda: json.loads(body)) for _ in range(3))
    ours = min(longest_wait(lambda: read_request(body, None, manifest, 8)) for _ in range(3))
    assert ours < parser / 4, (ours, parser)
