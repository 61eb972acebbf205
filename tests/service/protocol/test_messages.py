"""Bodies of the Open Inference Protocol, in the codec and over HTTP: the sound ones, and whatever else may come."""

import gzip
import json
import struct
import sys
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.manifest import Manifest, ParityReport, Variant
from harmonic.pixels import PixelSpec
from service.errors import RequestError
from service.protocol.messages import InferenceRequest, Wanted, memory_of_json, read_request, write_response
from tests.service.conftest import CLASSES
from tests.service.http.test_http import Client, Engine, told
from tests.support.images import plain

SIDE = 4
MANIFEST = Manifest(
    name="colours",
    architecture="colours",
    parameters=9,
    classes=CLASSES,
    pixels=PixelSpec(height=SIDE, width=SIDE),
    opset=18,
    variants=(Variant(),),
    parity=ParityReport(batches=(1,), max_error=0, mean_error=0, top1_agreement=1, largest_logit=8),
    created="2026-01-01T00:00:00Z",
    files={"model.onnx": "0" * 64, "golden.npz": "0" * 64},
)
IMAGE = np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(1, SIDE, SIDE, 3)
INFER = "/v2/models/colours/infer"


def read(body: Any, tail: bytes | None = None, most: int = 8) -> InferenceRequest:
    head = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(head + (tail or b""), None if tail is None else len(head), MANIFEST, most)


def tensor(**fields: Any) -> dict[str, Any]:
    return {"name": "images", "datatype": "UINT8", "shape": list(IMAGE.shape)} | fields


def binary(size: int = IMAGE.size, **fields: Any) -> dict[str, Any]:
    return tensor(parameters={"binary_data_size": size}, **fields)


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


BYTES = {"name": "image_bytes", "datatype": "BYTES"}


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


def infer(repository: Any, content: bytes, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post(INFER, content=content, headers=headers)

    response = told(repository, story, **options)
    assert isinstance(response, httpx.Response)
    return response


def asked(**fields: Any) -> bytes:
    data = np.full((1, 8, 8, 3), 9).tolist()
    images = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": data}
    return json.dumps({"inputs": [images | fields]}).encode()


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    return str(response.json()["error"])


@pytest.mark.parametrize("kind", [None, "application/json", "application/octet-stream", "text/plain"])
def test_the_content_type_does_not_matter(repository, kind):
    assert infer(repository, asked(), {"Content-Type": kind} if kind else {}).status_code == 200


def test_raw_pixels_with_a_head_length_of_0_are_answered_in_binary(repository):
    response = infer(repository, bytes(8 * 8 * 3), {"Inference-Header-Content-Length": "0"})
    assert response.status_code == 200
    head = int(response.headers["Inference-Header-Content-Length"])
    assert json.loads(response.content[:head])["outputs"][0]["parameters"] == {"binary_data_size": 12}
    assert response.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "", " ", "9" * 30, "0x10"])
def test_a_head_length_that_is_no_number_is_a_400(repository, length):
    refused(infer(repository, asked(), {"Inference-Header-Content-Length": length}), 400)


def packed(body):
    """Without the time of packing, which would stand in the tests' names."""
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("content", "coding", "status"),
    [
        (packed(b"{}"), "gzip", 400),
        (b"no gzip", "gzip", 400),
        (packed(asked())[:-20], "gzip", 400),
        (packed(asked()) + b"more", "gzip", 400),
        (b"", "deflate", 400),
        (zlib.compress(asked()), "gzip", 400),
        (packed(bytes(2**20)), "gzip", 413),
        (asked(), "br", 400),
        (asked(), "gzip, gzip", 400),
        (packed(asked()), "GZIP", 200),
        (zlib.compress(asked()), "deflate", 200),
        (asked(), "identity", 200),
    ],
)
def test_compressed_bodies_are_inflated_under_the_limit(repository, content, coding, status):
    response = infer(repository, content, {"Content-Encoding": coding}, body_bytes=100_000)
    assert response.status_code == status, response.text


def test_json_beyond_its_limit_is_a_413_and_binary_is_not(repository):
    assert "binary" in refused(infer(repository, asked(), json_bytes=200), 413)
    images = {"name": "images", "datatype": "UINT8", "shape": [2, 8, 8, 3], "parameters": {"binary_data_size": 384}}
    head = json.dumps({"inputs": [images]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert infer(repository, head + bytes(384), headers, json_bytes=200).status_code == 200


def test_json_that_would_fill_the_memory_is_turned_away(repository):
    content = b'{"inputs": [{"data": [' + b"[]," * 40_000 + b"0]}]}"
    refused(infer(repository, content, buffered_bytes=2_000_000), 429)


def test_a_wrong_image_in_company_is_named(repository):
    files = [plain(), b"none"]
    tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
    parameters = {"binary_data_size": len(tail)}
    head = json.dumps({"inputs": [BYTES | {"shape": [2], "parameters": parameters}]}).encode()
    response = infer(repository, head + tail, {"Inference-Header-Content-Length": str(len(head))})
    assert "image 2 of 2" in refused(response, 400)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/v2/models/none/infer", 404),
        ("/v2/models/colours/versions/9/infer", 404),
        ("/v2/models/colours/versions/x/infer", 400),
        ("/v2/models/colours/nothing", 404),
        ("/v2/nothing", 404),
    ],
)
def test_what_is_not_there_is_told_in_the_protocols_words(repository, url, status):
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post(url, content=asked())

    refused(told(repository, story), status)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false, "more": 1}'])
def test_the_index_gives_reasons(publish, tmp_path, body):
    publish()
    publish(golden_shift=1.0)

    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post("/v2/repository/index", content=body)

    index = told(tmp_path / "models", story).json()
    assert [(entry["version"], entry["state"]) for entry in index][:1] == [("1", "READY")]
    if b"true" in body:
        assert len(index) == 1
    else:
        assert index[1]["state"] == "UNAVAILABLE"
        assert "golden" in index[1]["reason"]


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"ready": 1}', b"x" * 70_000])
def test_a_wrong_index_request_is_refused(repository, body):
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post("/v2/repository/index", content=body)

    refused(told(repository, story), 413 if len(body) > 65536 else 400)
