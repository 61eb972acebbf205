"""A store is read within bounds, and by plain web servers too, whose pages about folders may say anything."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from export.errors import StoreAwayError, StoreError
from export.stores import Store, open_store, read_address
from export.stores.reasons import reason
from tests.support.colours import publish_colours
from tests.support.stores import in_memory, mirror_of, written


class _Handler(SimpleHTTPRequestHandler):
    """A web server that lists folders, without lines about requests."""

    def log_message(self, *_):
        """Nobody reads them."""

    def log_request(self, *_):
        """Nobody reads them."""


@pytest.fixture
def web(tmp_path: Path):
    """A folder that a web server shows, and its address."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/models"
    server.shutdown()
    server.server_close()


def test_a_repository_comes_from_a_plain_web_server(web, tmp_path):
    folder, url = web
    publish_colours(folder / "models")
    publish_colours(folder / "models")

    look = mirror_of(open_store(read_address(url)), tmp_path / "copy").look()

    assert look.brought == (("colours", 2), ("colours", 1))


def test_links_that_lead_elsewhere_are_no_names(web, tmp_path):
    folder, url = web
    publish_colours(folder / "models")
    links = ["//evil.example/x/", "https://evil.example/y/", "../../z/", "colours/", "?C=N;O=D", "%2e%2e/", "a%2fb/"]
    page = "".join(f'<a href="{link}">x</a>' for link in links)
    (folder / "models" / "index.html").write_text(page)

    store = open_store(read_address(url))

    assert set(store.list().folders) == {"z", "colours", "..", "b"}
    assert mirror_of(store, tmp_path / "copy").look().brought == (("colours", 1),)


def test_a_web_server_that_is_not_there_is_away():
    with pytest.raises(StoreAwayError, match="cannot be read: ClientConnectorError"):
        open_store(read_address("http://127.0.0.1:9/models")).list()


def test_a_small_file_that_is_large_is_not_taken():
    store = in_memory()
    written(store, b"x" * 101, "file")

    assert len(store.read("file", most=101)) == 101
    with pytest.raises(StoreError, match="larger than the 100 bytes"):
        store.read("file", most=100)


def test_a_library_that_counts_nothing_is_held_to_the_bound_all_the_same(tmp_path):
    class Silent:
        def get_file(self, path, target, callback):
            Path(target).write_bytes(b"x" * 1000)

    store = Store(read_address("memory://silent"), Silent(), "/silent")

    with pytest.raises(StoreError, match="larger than the 999 bytes"):
        store.read("file", most=999)


def test_what_is_not_there_is_nothing():
    store = in_memory()

    assert store.read("file", most=10) is None
    assert store.list("nowhere").folders == []


class _AnswerError(Exception):
    """As libraries raise them: with all that they know."""

    def __init__(self, **facts):
        super().__init__("https://host/?X-Amz-Signature=secret Authorization: secret")
        vars(self).update(facts)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (_AnswerError(response={"Error": {"Code": "NoSuchBucket", "Message": "secret"}}), "_AnswerError NoSuchBucket"),
        (_AnswerError(response={"Error": {"Code": "secret words"}}), "_AnswerError"),
        (_AnswerError(status=503), "_AnswerError 503"),
        (PermissionError("secret"), "access is refused; which credentials does its library find? (PermissionError)"),
        (TimeoutError("secret"), "no answer in time (TimeoutError)"),
    ],
)
def test_reasons_hold_kinds_and_codes_and_no_text(error, words):
    assert reason(error) == words


def test_a_reason_tells_what_an_error_came_from():
    error = OSError("secret")
    error.__cause__ = _AnswerError(status=500)

    assert reason(error) == "OSError from _AnswerError 500"
