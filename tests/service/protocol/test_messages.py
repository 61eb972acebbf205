"""Bodies of the Open Inference Protocol: the sound ones, and whatever else may come."""

import json
import struct
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.pixels import PixelSpec
from service.errors import RequestError
from service.protocol.messages import InferenceRequest, Wanted, memory_of_json, read_request, write_response
from tests.support.tensors import BYTES, IMAGE, MANIFEST, SIDE, binary, tensor


def read(body: Any, tail: bytes | None = None, most: int = 8) -> InferenceRequest:
    head = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(head + (tail or b""), None if tail is None else len(head), MANIFEST, most)


@pytest.mark.parametrize("data", [IMAGE.tolist(), IMAGE.ravel().tolist(), IMAGE.reshape(-1, 3).tolist()])
def test_json_tensors_may_be_nested_or_flat(data):
    asked = read({"inputs": [tensor(data=data)]})
    assert np.array_equal(asked.images, IMAGE)
    assert asked.wanted == Wanted(binary=False)


def test_binary_tensors_are_read_as_they_lie():
    asked = read({"id": "a", "inputs": [binary()], "parameters": {"binary_data_output": True}}, IMAGE.tobytes())
    assert np.array_equal(asked.images, IMAGE)
    assert (asked.id, asked.wanted) == ("a", Wanted(binary=True))


def test_a_body_without_a_head_is_one_image():
    assert np.array_equal(read_request(IMAGE.tobytes(), 0, MANIFEST, 8).images, IMAGE)


FLOATS = MANIFEST.model_copy(update={"pixels": PixelSpec(height=SIDE, width=SIDE, fit="spectral")})


def test_a_model_of_floats_takes_fp32_and_nothing_that_is_not_finite():
    shape = [1, *FLOATS.pixels.shape]
    values = np.linspace(-1, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)

    def sent(array: np.ndarray) -> InferenceRequest:
        given = {"name": "images", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": array.nbytes}}
        for padding in range(4):  # wherever in the body the numbers lie
            head = json.dumps({"inputs": [given]}).encode() + b" " * padding
            asked = read_request(head + array.tobytes(), len(head), FLOATS, 8)
            assert asked.images.flags.aligned
        return asked

    assert np.array_equal(sent(values).images, values)
    as_json = json.dumps({"inputs": [{"name": "images", "datatype": "FP32", "shape": shape, "data": values.tolist()}]})
    assert np.array_equal(read_request(as_json.encode(), None, FLOATS, 8).images, values)
    for bad in (np.nan, np.inf, -np.inf):
        values[0, 0, 0, 0] = bad
        with pytest.raises(RequestError, match="infinities"):
            sent(values)
    with pytest.raises(RequestError, match="infinities"):
        read_request(as_json.replace("[-1.0,", "[1e300,").encode(), None, FLOATS, 8)


def test_an_outputs_own_word_wins():
    body = {
        "inputs": [tensor(data=IMAGE.tolist())],
        "parameters": {"binary_data_output": True, "priority": 2, "timeout": 1500, "another": [1]},
        "outputs": [{"name": "logits", "parameters": {"binary_data": False, "classification": 2}}],
        "unknown": 1,
    }
    asked = read(body)
    assert (asked.wanted, asked.priority, asked.timeout_s) == (Wanted(False, 2), 2, 0.0015)


def test_encoded_images_come_length_prefixed_or_as_base64():
    files = [b"one", b"", b"three"]
    tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
    parameters = {"binary_data_size": len(tail)}
    head = {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [3], "parameters": parameters}]}
    assert read(head, tail).images == files
    head = {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1, 1], "data": ["b25l"]}]}
    assert read(head).images == [b"one"]


@pytest.mark.parametrize(
    ("body", "tail"),
    [
        (b"", None),
        (b"null", None),
        (b"[" * 100_000, None),
        (b'{"inputs": [' * 50_000, None),
        (b'{"inputs": \xff}', None),
        ({}, None),
        ({"inputs": []}, None),
        ({"inputs": {}}, None),
        ({"inputs": [tensor()]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())] * 2}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())] * 99}, None),
        ({"inputs": [tensor(data=[])]}, None),
        ({"inputs": [tensor(data=None)]}, None),
        ({"inputs": [tensor(data="AAAA")]}, None),
        ({"inputs": [tensor(data={"a": 1})]}, None),
        ({"inputs": [tensor(data=[0] * (IMAGE.size - 1))]}, None),
        ({"inputs": [tensor(data=[0] * (IMAGE.size + 1))]}, None),
        ({"inputs": [tensor(data=[[1, 2], [3]])]}, None),
        ({"inputs": [tensor(data=[0.5] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=[256] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=[-1] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=[10**400] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=[True] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=["0"] * IMAGE.size)]}, None),
        ({"inputs": [tensor(data=[None] * IMAGE.size)]}, None),
        (b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1,4,4,3], "data": [NaN]}]}', None),
        (b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1,4,4,3], "data": [1e999]}]}', None),
        ({"inputs": [tensor(data=[0], shape=[])]}, None),
        ({"inputs": [tensor(data=[], shape=[0, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[], shape=[-1, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[0], shape=[1.0, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[0], shape=[True, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[0], shape=[2**62, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[0], shape=[10**400, SIDE, SIDE, 3])]}, None),
        ({"inputs": [tensor(data=[0], shape=[1] * 5000)]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist(), shape=[1, 3, SIDE, SIDE])]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist(), datatype="FP32")]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist(), name="pictures")]}, None),
        ({"inputs": [binary()]}, b""),
        ({"inputs": [binary()]}, IMAGE.tobytes()[:-1]),
        ({"inputs": [binary()]}, IMAGE.tobytes() + b"x"),
        ({"inputs": [binary(IMAGE.size - 1)]}, IMAGE.tobytes()[:-1]),
        ({"inputs": [binary(-1)]}, IMAGE.tobytes()),
        ({"inputs": [binary(2**63)]}, IMAGE.tobytes()),
        ({"inputs": [binary(2**64 + IMAGE.size)]}, IMAGE.tobytes()),
        ({"inputs": [binary(data=[0])]}, IMAGE.tobytes()),
        ({"inputs": [tensor(data=IMAGE.tolist())]}, b"x"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "x"})]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "outputs": [{"name": "x"}]}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "outputs": [{"name": "logits"}] * 2}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "id": 7}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "parameters": {"priority": -1}}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "parameters": {"timeout": 10**400}}, None),
        ({"inputs": [tensor(data=IMAGE.tolist())], "parameters": {"timeout": "1"}}, None),
        ({"inputs": [BYTES | {"shape": [1], "data": ["%"]}]}, None),
        ({"inputs": [BYTES | {"shape": [1], "data": [1]}]}, None),
        ({"inputs": [BYTES | {"shape": [2], "data": ["AAAA"]}]}, None),
        ({"inputs": [BYTES | {"shape": [0], "data": []}]}, None),
        ({"inputs": [BYTES | {"shape": [], "data": []}]}, None),
        ({"inputs": [BYTES | {"shape": [2, 2], "data": []}]}, None),
        ({"inputs": [BYTES | {"shape": [2**62], "data": []}]}, None),
        ({"inputs": [BYTES | {"shape": [1], "parameters": {"binary_data_size": 3}}]}, b"\0\0\0"),
        ({"inputs": [BYTES | {"shape": [1], "parameters": {"binary_data_size": 5}}]}, b"\2\0\0\0x"),
        ({"inputs": [BYTES | {"shape": [1], "parameters": {"binary_data_size": 5}}]}, b"\0\0\0\1x"),
        ({"inputs": [BYTES | {"shape": [1], "parameters": {"binary_data_size": 4}}]}, b"\xff\xff\xff\xff"),
        ({"inputs": [BYTES | {"shape": [2], "parameters": {"binary_data_size": 4}}]}, b"\0\0\0\0"),
        ({"inputs": [BYTES | {"shape": [1], "parameters": {"binary_data_size": 8}}]}, b"\0\0\0\0\0\0\0\0"),
    ],
)  # fmt: skip
def test_a_wrong_request_says_briefly_what_is_wrong(body, tail):
    with pytest.raises(RequestError) as refusal:
        read(body, tail)
    assert 10 < len(refusal.value.message) < 500


@pytest.mark.parametrize(("size", "head"), [(0, 0), (IMAGE.size - 1, 0), (IMAGE.size + 1, 0), (10, 11), (10, 2**62)])
def test_a_head_length_that_does_not_fit_is_refused(size, head):
    with pytest.raises(RequestError):
        read_request(bytes(size), head, MANIFEST, 8)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    ["inputs", "name", "shape", "datatype", "data", "parameters", "outputs", "id", "binary_data_size", "images"]
)
_ALMOST = st.fixed_dictionaries(
    {"inputs": st.lists(st.dictionaries(_FIELDS, _JSON | st.just("images") | st.just([1, SIDE, SIDE, 3])), max_size=3)},
    optional={"parameters": _JSON, "outputs": _JSON, "id": _JSON},
)


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=200) | (_JSON | _ALMOST).map(lambda value: json.dumps(value).encode()),
    head=st.none() | st.integers(0, 250),
    tail=st.binary(max_size=80),
)
def test_any_bytes_are_a_request_or_a_request_error(body, head, tail):
    try:
        asked = read_request(body + tail, head, MANIFEST, 8)
    except RequestError:
        return
    assert len(asked.images) >= 1


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=3, max_size=3), min_size=1, max_size=5),
    binary_output=st.booleans(),
    classes=st.integers(0, 5),
)
def test_an_answer_can_be_read_back(values, binary_output, classes):
    logits = np.array(values, np.float32)
    asked = InferenceRequest(IMAGE, Wanted(binary_output, classes), id="x")
    body, head = write_response(asked, "colours", 3, MANIFEST, logits)
    answer = json.loads(body[:head])
    (output,) = answer["outputs"]
    assert (answer["id"], answer["model_version"]) == ("x", "3")
    if binary_output:
        assert output["parameters"]["binary_data_size"] == len(body) - head
    if classes:
        assert (output["datatype"], output["shape"]) == ("BYTES", [len(values), min(classes, 3)])
    elif binary_output:
        assert np.array_equal(np.frombuffer(body[head:], "<f4").reshape(output["shape"]), logits)
    else:
        assert np.array_equal(np.array(output["data"], np.float32).reshape(output["shape"]), logits)


@settings(max_examples=100, deadline=None)
@given(_JSON)
def test_the_memory_of_json_is_not_underrated(value):
    def size(node: Any) -> int:
        inner = node.items() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
        return (0 if isinstance(node, tuple) else sys.getsizeof(node)) + sum(size(child) for child in inner)

    text = json.dumps(value).encode()
    assert memory_of_json(text) + 10 * len(text) + 100 >= size(json.loads(text))
