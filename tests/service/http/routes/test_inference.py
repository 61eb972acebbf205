"""Inference requests over HTTP: their heads, codings, limits and refusals."""

import gzip
import json
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.app import posted
from tests.support.images import plain
from tests.support.tensors import BYTES, refused

INFER = "/v2/models/colours/infer"


async def infer(
    repository: Any, content: bytes, headers: dict[str, str] | None = None, **options: Any
) -> httpx.Response:
    return await posted(repository, INFER, options, content=content, headers=headers)


def asked(**fields: Any) -> bytes:
    data = np.full((1, 8, 8, 3), 9).tolist()
    images = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": data}
    return json.dumps({"inputs": [images | fields]}).encode()


@pytest.mark.parametrize("kind", [None, "application/json", "application/octet-stream", "text/plain"])
async def test_the_content_type_does_not_matter(repository, kind):
    assert (await infer(repository, asked(), {"Content-Type": kind} if kind else {})).status_code == 200


async def test_raw_pixels_with_a_head_length_of_0_are_answered_in_binary(repository):
    response = await infer(repository, bytes(8 * 8 * 3), {"Inference-Header-Content-Length": "0"})
    assert response.status_code == 200
    head = int(response.headers["Inference-Header-Content-Length"])
    assert json.loads(response.content[:head])["outputs"][0]["parameters"] == {"binary_data_size": 12}
    assert response.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "", " ", "9" * 30, "0x10"])
async def test_a_head_length_that_is_no_number_is_a_400(repository, length):
    refused(await infer(repository, asked(), {"Inference-Header-Content-Length": length}), 400)


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
async def test_compressed_bodies_are_inflated_under_the_limit(repository, content, coding, status):
    response = await infer(repository, content, {"Content-Encoding": coding}, body_bytes=100_000)
    assert response.status_code == status, response.text


async def test_json_beyond_its_limit_is_a_413_and_binary_is_not(repository):
    assert "binary" in refused(await infer(repository, asked(), json_bytes=200), 413)
    images = {"name": "images", "datatype": "UINT8", "shape": [2, 8, 8, 3], "parameters": {"binary_data_size": 384}}
    head = json.dumps({"inputs": [images]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert (await infer(repository, head + bytes(384), headers, json_bytes=200)).status_code == 200


async def test_json_that_would_fill_the_memory_is_turned_away(repository):
    content = b'{"inputs": [{"data": [' + b"[]," * 40_000 + b"0]}]}"
    refused(await infer(repository, content, buffered_bytes=2_000_000), 429)


async def test_a_wrong_image_in_company_is_named(repository):
    files = [plain(), b"none"]
    tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
    parameters = {"binary_data_size": len(tail)}
    head = json.dumps({"inputs": [BYTES | {"shape": [2], "parameters": parameters}]}).encode()
    response = await infer(repository, head + tail, {"Inference-Header-Content-Length": str(len(head))})
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
async def test_what_is_not_there_is_told_in_the_protocols_words(repository, url, status):
    refused(await posted(repository, url, content=asked()), status)
