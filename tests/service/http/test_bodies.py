"""What a request to classify may carry: raw, multipart and JSON bodies, and what is wrong with others."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from tests.support.app import posted, refused, serving, top
from tests.support.images import plain

PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'


@pytest.mark.parametrize(
    "kind", [None, "image/png", "image/whatever", "application/octet-stream", "application/x-www-form-urlencoded"]
)
async def test_a_raw_body_is_an_image_whatever_kind_it_says(repository, kind):
    headers = {"Content-Type": kind} if kind else {}
    assert top(await posted(repository, content=plain("blue"), headers=headers)) == ["blue"]


async def test_multipart_parts_are_answered_in_order(repository):
    parts = [("image", plain(colour)) for colour in ("red", "blue", "green")]
    assert top(await posted(repository, files=parts)) == ["red", "blue", "green"]


async def test_json_images_are_answered_in_order(repository):
    images = [base64.b64encode(plain(colour)).decode() for colour in ("green", "red")]
    assert top(await posted(repository, json={"images": images})) == ["green", "red"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", "image/png", 400, "bad_request"),
        (b"no image", "image/png", 415, "unsupported_image"),
        (plain()[:40], "image/png", 422, "image_not_decodable"),
        (b"text", "text/plain", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "bad_request"),
        (b"[]", "application/json", 400, "bad_request"),
        (b"{}", "application/json", 400, "bad_request"),
        (b'{"images": []}', "application/json", 400, "bad_request"),
        (b'{"images": "abcd"}', "application/json", 400, "bad_request"),
        (b'{"images": [1]}', "application/json", 400, "bad_request"),
        (b'{"images": ["%%%"]}', "application/json", 400, "bad_request"),
        (b'{"images": ["\xc3\xa4"]}', "application/json", 400, "bad_request"),
        (b'{"images": ["AAAA"], "top": 1}', "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"x", "multipart/form-data", 400, "bad_request"),
        (b"x", "multipart/form-data; boundary=b", 400, "bad_request"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % b"image" + b"x", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % b"picture" + b"x\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % (b"x" * 5000) + b"x\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
    ],
)  # fmt: skip
async def test_a_wrong_body_says_what_is_wrong(repository, body, kind, status, code):
    assert refused(await posted(repository, content=body, headers={"Content-Type": kind}), status, code)


async def test_a_compressed_body_is_refused(repository):
    refused(
        await posted(repository, content=plain(), headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type"
    )


async def test_a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not(repository):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield bytes(100)

    limits = {"settings": {"body_bytes": 500}}
    refused(await posted(repository, content=bytes(501), **limits), 413, "body_too_large")
    refused(await posted(repository, content=chunks(), **limits), 413, "body_too_large")
    refused(
        await posted(repository, content=chunks(), headers={"Content-Length": "10"}, **limits), 413, "body_too_large"
    )


async def test_a_body_that_never_ends_is_given_up(repository):
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    refused(await posted(repository, content=stalled(), settings={"body_seconds": 0.05}), 408, "body_too_slow")


async def test_bodies_together_stay_within_their_memory(repository):
    response = await posted(repository, content=bytes(600), settings={"buffered_bytes": 500})
    refused(response, 429, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1


async def test_memory_of_bodies_is_given_back(repository):
    async with serving(repository, buffered_bytes=len(plain("red"))) as (client, _):
        for _ in range(20):
            assert top(await client.post("/v1/classify", content=plain("red"))) == ["red"]


async def test_too_many_images_are_refused(repository):
    parts = [("image", plain())] * 5
    refused(await posted(repository, files=parts, settings={"images_per_request": 4}), 400, "too_many_images")
    refused(await posted(repository, files=parts, settings={"max_batch": 4}), 400, "too_many_images")
    body = {"images": [base64.b64encode(plain()).decode()] * 5}
    refused(await posted(repository, json=body, settings={"images_per_request": 4}), 400, "too_many_images")


async def test_millions_of_texts_are_too_many_images(repository):
    body = b'{"images": [' + b'"",' * 3_000_000 + b'""]}'
    answer = await posted(repository, content=body, headers={"Content-Type": "application/json"})
    assert "64 images" in refused(answer, 400, "too_many_images")
