"""Downloads are resumed, checked and kept, whatever the server does. The server here is a real one, on this machine."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harmonic.bundles.releases import RELEASES, download
from harmonic.errors import DownloadError

CONTENT = bytes(range(256)) * 2000
NAME = f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class Behaviour:
    """What the server does, and what it was asked."""

    def __init__(self):
        self.content = CONTENT
        self.breaks_after = []  # bytes after which each of the next answers breaks off
        self.ranges = True
        self.status = None
        self.requests = []


@pytest.fixture
def server():
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            behaviour.requests.append(asked)
            if behaviour.status:
                self.send_error(behaviour.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour.ranges else 0
            total = len(behaviour.content)
            if start >= total:
                self.send_error(416)
                return
            body = behaviour.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: behaviour.breaks_after.pop(0)] if behaviour.breaks_after else body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        behaviour.address = f"http://127.0.0.1:{listening.server_port}/release/{NAME}"
        yield behaviour
        listening.shutdown()
        thread.join()


def test_a_file_is_brought_and_watched(server, tmp_path):
    seen = []
    path = download(server.address, tmp_path / "new" / "cache", watch=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == [NAME]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    download(server.address, tmp_path)
    download(server.address, tmp_path)
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    (tmp_path / NAME).write_bytes(b"damaged")
    assert download(server.address, tmp_path).read_bytes() == CONTENT


def test_a_transfer_that_breaks_off_is_resumed_where_it_broke(server, tmp_path):
    server.breaks_after = [100_000, 1, 200_000]
    assert download(server.address, tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-", "bytes=100001-", "bytes=300001-"]


def test_a_transfer_is_resumed_by_the_next_call(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:5000])
    assert download(server.address, tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=5000-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    server.breaks_after = [100_000]
    assert download(server.address, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert download(server.address, tmp_path).read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_is_given_up_and_the_part_kept(server, tmp_path):
    server.breaks_after = [1000] + [0] * 10
    with pytest.raises(DownloadError, match=r"could not be reached.*broke off.*same command again"):
        download(server.address, tmp_path, attempts=3)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:1000]
    assert not (tmp_path / NAME).exists()


def test_content_that_is_not_what_the_name_says_is_refused_and_thrown_away(server, tmp_path):
    server.content = b"something else"
    with pytest.raises(DownloadError, match="not the released file"):
        download(server.address, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_told_at_once(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match="404"):
        download(server.address, tmp_path)
    assert len(server.requests) == 1


def test_no_network_is_told_plainly(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match="Is there a network"):
        download(f"http://127.0.0.1:{port}/{NAME}", tmp_path, attempts=2)


def test_a_name_without_a_sum_is_refused_before_anything_is_fetched(tmp_path):
    with pytest.raises(DownloadError, match="SHA-256"):
        download("http://127.0.0.1:9/model.pth", tmp_path)


def test_every_release_names_an_architecture_and_a_sum():
    from harmonic import zoo

    for name, release in RELEASES.items():
        assert name == release.architecture
        assert zoo.find(release.architecture).match(release.architecture) is not None
        assert release.address.endswith(release.file)
        assert len(release.file.rsplit("-", 1)[1].removesuffix(".pth")) == 8
