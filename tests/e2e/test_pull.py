"""`harmonic pull` in a process of its own, behind a proxy where a stand-in answers for the release's host."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.support.forks import run
from tests.support.process import free_port

FILE = "harm_resnet50-eec30392.pth"
HOME, STORE = "github.com", "store.example"


class StandIn:
    """What the release's host and the store that it redirects to answer, and what they were asked."""

    def __init__(self) -> None:
        self.content = b"not the released weights" * 1000
        self.breaks_after: int | None = None
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOME, STORE).configure_cert(self.context)
        self.authority = authority


def handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            """Be the host that the proxy was asked for."""
            self.host = self.path.removesuffix(":443")
            self.send_response(200)
            self.end_headers()
            with (
                stand_in.context.wrap_socket(self.connection, server_side=True) as tls,
                tls.makefile("rb") as self.rfile,
                tls.makefile("wb") as self.wfile,
            ):
                self.handle_one_request()

        def do_GET(self) -> None:
            stand_in.asked.append((f"{self.host}{self.path}", self.headers.get("Range")))
            if stand_in.status != 200:
                self.send_error(stand_in.status)
            elif self.host == HOME:
                self.send_response(302)
                self.send_header("Location", f"https://{STORE}/{FILE}")
                self.end_headers()
            else:
                self.deliver()

        def deliver(self) -> None:
            total = len(stand_in.content)
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            end = total if stand_in.breaks_after is None else max(start, stand_in.breaks_after)
            self.wfile.write(stand_in.content[start:end])

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    made = StandIn()
    made.authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(made)) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        behind(monkeypatch, proxy.server_port)
        yield made
        proxy.shutdown()
        thread.join()


def behind(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def pulled(*options: object) -> str:
    """What a pull that must fail with an expected error says."""
    ended = run("pull", "harm_resnet50", *options)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


def test_no_network_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    behind(monkeypatch, free_port())
    said = pulled("--out", tmp_path / "bundle")
    assert said.startswith("harmonic: https://github.com/")
    assert "could not be reached" in said
    assert f"kept in {tmp_path / 'cache' / FILE}.part; give the same command again" in said
    assert not (tmp_path / "bundle").exists()


def test_a_file_that_is_not_the_released_one_is_thrown_away(tmp_path: Path, stand_in: StandIn) -> None:
    said = pulled("--out", tmp_path / "bundle")
    assert f"{FILE}: its SHA-256 starts with" in said
    assert "not eec30392: not the released file" in said
    assert [host.split("/")[0] for host, _ in stand_in.asked] == [HOME, STORE]
    assert list((tmp_path / "cache").iterdir()) == []
    assert not (tmp_path / "bundle").exists()


def test_the_same_command_goes_on_where_the_transfer_broke_off(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.breaks_after = 5000
    assert "broke off after 5,000 of 24,000 bytes" in pulled()
    assert (tmp_path / "cache" / f"{FILE}.part").stat().st_size == 5000
    stand_in.breaks_after = None
    stand_in.asked.clear()
    assert "not the released file" in pulled()
    assert stand_in.asked[-1] == (f"{STORE}/{FILE}", "bytes=5000-")


def test_a_refusal_is_told(stand_in: StandIn) -> None:
    stand_in.status = 404
    assert "the server answered 404" in pulled()
    assert len(stand_in.asked) == 1
