"""An answer is a label or whole tensors; anything else is told."""

import json

import pytest

from service.load.answers import fault
from tests.support.stub_service import CHUNKED, LABEL, http


def binary(sizes: list[int], data: bytes) -> bytes:
    head = json.dumps({"outputs": [{"name": "t", "parameters": {"binary_data_size": size}} for size in sizes]}).encode()
    return http(200, head + data, f"Inference-Header-Content-Length: {len(head)}")


GOOD = [
    http(),
    CHUNKED,
    http(200, b'[{"label": "a"}]'),
    http(200, b'{"class_name": "a"}'),
    http(200, b'{"outputs": [{"name": "t", "data": [1.0]}]}'),
    binary([8, 4], bytes(12)),
]
BAD = [
    (http(404, b'{"error": "no"}'), '404: {"error": "no"}'),
    (http(200, b"<html>"), "no JSON"),
    (http(200, b'{"predictions": []}'), "no label and no tensor"),
    (http(200, b'{"label": 3}'), "no label and no tensor"),
    (http(200, b'{"outputs": []}'), "without tensors"),
    (http(200, b'{"outputs": [{"name": "t", "data": []}]}'), "is empty"),
    (binary([8], bytes(4)), "8 bytes were told, 4 came"),
    (http(200, LABEL, "Inference-Header-Content-Length: x"), "is 'x'"),
    (http(200, b""), "no JSON"),
]


@pytest.mark.parametrize("raw", GOOD)
def test_an_answer_is_good(raw: bytes):
    assert fault(raw) is None


@pytest.mark.parametrize(("raw", "said"), BAD)
def test_an_answer_is_at_fault(raw: bytes, said: str):
    assert said in str(fault(raw))
