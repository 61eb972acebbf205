"""Every form of request is one that the service answers, and that Triton's client would have written."""

from pathlib import Path

import pytest

from service.load.answers import fault
from service.load.bodies import Body, Input, write_requests
from service.load.pictures import make_pictures
from service.load.plan import LoadError, read_address
from service.load.target import Counts, insight, target_at
from tests.support.colours import publish_colours
from tests.support.process import serving
from tests.support.sockets import connect

PICTURES = make_pictures("20x16.png", 0)[:3]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("models")
    publish_colours(root)
    with serving(root) as (address, _):
        yield address


def exchanged(url: str, request: bytes) -> bytes:
    with connect(url) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        said = bytearray()
        while data := connection.recv(65536):
            said += data
    return bytes(said)


@pytest.mark.parametrize(("body", "each"), [*((body, 1) for body in Body), (Body.json, 2), (Body.tensor, 2)])
@pytest.mark.parametrize("model", [None, "colours"])
def test_the_service_answers_it(url: str, body: Body, each: int, model: str | None):
    with target_at(read_address(url), {}) as service:
        place = service.place(body, model)
        before = service.counts()
        requests = write_requests(place, PICTURES, body, each=each, wanted=service.wanted(place, body))
        answers = [exchanged(url, request) for request in requests]
        seen = insight(before, service.counts())
    assert [fault(answer) for answer in answers] == [None] * 3
    assert seen is not None
    assert sum(size * count for size, count in seen.batches.items()) == 3 * each


def test_headers_go_along():
    (request,) = write_requests(
        read_address("http://a/x"), PICTURES[:1], Body.raw, headers={"Authorization": "Bearer k"}
    )
    assert b"\r\nAuthorization: Bearer k\r\n" in request
    assert request.endswith(PICTURES[0].content)


def test_pixels_are_laid_as_the_model_says():
    address, (one,) = read_address("http://a/x"), PICTURES[:1]
    last = write_requests(address, [one], Body.tensor, wanted=Input("in", "UINT8", (-1, 16, 20, 3)))[0]
    first = write_requests(address, [one], Body.tensor, wanted=Input("in", "FP32", (-1, 3, 16, 20)))[0]
    assert last.endswith(one.pixels(20, 16).tobytes())
    assert first.endswith(one.pixels(20, 16).transpose(2, 0, 1).astype("float32").tobytes())


@pytest.mark.parametrize(
    ("body", "wanted", "says"),
    [
        (Body.tensor, Input("in", "UINT8", (-1, 16, 20, 4)), "three colours"),
        (Body.tensor, Input("in", "BYTES", (-1,)), "three colours"),
        (Body.tensor_json, Input("in", "UINT8", (-1, -1, -1, 3)), "no size"),
        (Body.encoded, Input("in", "FP32", (-1, 3, 4, 4)), "no files"),
        (Body.tensor, None, "did not say"),
    ],
)
def test_what_a_model_cannot_take_is_refused(body: Body, wanted: Input | None, says: str):
    with pytest.raises(LoadError, match=says):
        write_requests(read_address("http://a/x"), PICTURES, body, wanted=wanted)


def test_a_raw_body_is_one_image():
    with pytest.raises(LoadError, match="one image"):
        write_requests(read_address("http://a/x"), PICTURES, Body.raw, each=2)


def test_counts_that_did_not_grow_say_nothing():
    same = Counts((1, 5), (1, 5), {1: 1})
    assert insight(same, same) is None
    assert insight(None, same) is None
    found = insight(same, Counts((3, 4_000_005), (3, 8_000_005), {1: 1, 2: 4, 8: 1}))
    assert (found.batches, found.mean_batch, found.queue_ms, found.compute_ms) == ({2: 4, 8: 1}, 3.2, 2.0, 4.0)
