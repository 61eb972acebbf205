"""Against a real S3 server that is slow, cuts off, lies and vanishes: the copy has whole versions, and stays."""

import itertools
import logging
import threading

import pytest

from export.errors import RepositoryError, StoreAwayError
from export.manifest import MANIFEST, check_files, read_manifest
from export.predictor import version_predictor
from export.repository import versions
from export.stores import Store, open_store, publish, read_address
from tests.support.colours import publish_colours
from tests.support.s3 import BUCKET, S3, SECRET, s3_server
from tests.support.stores import mirror_of, uploaded

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch, s3_server(patch.setenv) as server:
        yield server


@pytest.fixture(autouse=True)
def honest(server: S3):
    yield
    server.fault = server.refuse = None


@pytest.fixture
def store(server) -> Store:
    """A store of its own."""
    return open_store(read_address(f"s3://{BUCKET}/place-{next(_NUMBERS)}"), seconds=30)


def test_what_is_published_comes_whole(store, version, copy):
    assert [uploaded(store, version), uploaded(store, version)] == [1, 2]

    look = mirror_of(store, copy).look()

    assert (look.brought, look.away) == ((("colours", 2), ("colours", 1)), "")
    check_files(copy / "colours" / "2", read_manifest(copy / "colours" / "2"))


def test_the_manifest_is_written_last_and_by_one_alone(server, store, version):
    server.asked.clear()
    uploaded(store, version, 5)

    puts = [line.rpartition("/")[2] for line in server.asked if line.startswith("PUT")]
    assert puts[0] == ".claim"
    assert puts[-1] == MANIFEST
    with pytest.raises(RepositoryError, match="exists already"):
        publish(store, "colours", version, 5)


def test_publishers_at_once_do_not_mix(store, tmp_path, copy):
    made = [publish_colours(tmp_path / f"made-{side}", side=side) for side in (4, 8, 12, 16)]
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda one=one: numbers.append(uploaded(store, one))) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    look = mirror_of(store, copy).look()

    assert sorted(numbers) == [1, 2, 3, 4]
    assert len(look.brought) == 4
    sides = {read_manifest(copy / "colours" / str(number)).pixels.height for number in numbers}
    assert sides == {4, 8, 12, 16}


def test_an_answer_that_is_cut_off_leaves_nothing_and_the_next_look_brings_it(server, store, version, copy):
    uploaded(store, version)
    server.fault = lambda path, body: [body[: len(body) // 2]] if path.endswith("model.onnx") else [body]
    mirror = mirror_of(store, copy, wait=0)

    assert mirror.look().brought == ()
    assert versions(copy, "colours") == []

    server.fault = None
    assert mirror.look().brought == (("colours", 1),)


def test_content_that_lies_is_refused(server, store, version, copy, caplog):
    uploaded(store, version)
    server.fault = lambda path, body: [body[::-1]] if path.endswith("model.onnx") else [body]

    assert mirror_of(store, copy).look().refused == (("colours", 1),)
    assert versions(copy, "colours") == []
    assert "the file was changed" in caplog.text


def test_a_slow_answer_is_given_up(server, store, version, copy, caplog):
    uploaded(store, version)
    waiting = threading.Event()

    def trickle(path, body):
        for byte in body:
            yield bytes([byte])
            # A byte each 20 ms: nobody waits for the kilobytes.
            if path.endswith("model.onnx"):
                waiting.wait(0.02)

    server.fault = trickle
    slow = open_store(store.address, seconds=0.3)

    assert mirror_of(slow, copy).look().refused == (("colours", 1),)
    assert "has not come within 0.3 s" in caplog.text


def test_a_store_that_vanishes_leaves_the_copy_and_is_followed_when_it_is_back(server, store, version, copy):
    uploaded(store, version)
    mirror = mirror_of(store, copy)
    mirror.look()
    server.vanish()
    try:
        assert "cannot be listed" in mirror.look().away
        assert versions(copy, "colours") == [1]
        with pytest.raises(StoreAwayError):
            publish(store, "colours", version)
    finally:
        server.come_back()

    uploaded(store, version)
    assert mirror.look().brought == (("colours", 2),)


def test_a_version_is_not_measured_while_its_store_is_away(server, store, version):
    uploaded(store, version)
    assert version_predictor(f"{store}/colours/1").classes
    server.refuse = lambda method, path: path.endswith("model.onnx")
    with pytest.raises(StoreAwayError, match="access is refused"):
        version_predictor(f"{store}/colours/1")


def test_credentials_are_in_no_error_and_no_log_line(server, store, version, copy, caplog):
    caplog.set_level(logging.DEBUG)
    open_store(store.address)
    server.refuse = lambda method, path: True

    look = mirror_of(store, copy).look()

    assert "access is refused" in look.away
    said = f"{look.away} {caplog.text}"
    assert SECRET not in said
    assert "Authorization" not in said
    assert "Signature" not in said


def test_an_upload_that_fails_half_way_is_no_version(server, store, version, copy):
    server.refuse = lambda method, path: method == "PUT" and path.endswith("model.onnx")
    with pytest.raises(StoreAwayError, match="cannot be written"):
        publish(store, "colours", version)
    server.refuse = None

    assert store.list("colours", "1").files == [".claim"]
    assert uploaded(store, version) == 2
    assert mirror_of(store, copy).look().brought == (("colours", 2),)


def test_thousands_of_names_come_in_pages(server, store):
    place = store.address.place.partition("/")[2]
    server.holds(f"{place}/a{number:04}/1/manifest.json" for number in range(2500))

    assert len(store.list().folders) == 2500
