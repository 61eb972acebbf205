"""A real S3 server of this process, which can be made slow, cut its answers off, lie, and vanish."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

BUCKET = "models"
SECRET = "the-secret-that-nobody-may-see"
Fault = Callable[[str, bytes], Iterable[bytes]]  # of a GET's path and its body: what is sent instead


class S3:
    """A server with one empty bucket."""

    def __init__(self) -> None:
        self._app = create_backend_app("s3")
        self._one_at_a_time = threading.Lock()  # its store of objects knows no threads
        self.fault: Fault | None = None
        self.refuse: Callable[[str, str], bool] | None = None  # of a method and a path
        self.asked: list[str] = []
        self._server = self._serve(0)
        self.port = self._server.server_port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def vanish(self) -> None:
        """Be gone: connections are refused."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def come_back(self) -> None:
        """Be there again, with what was there."""
        self._server = self._serve(self.port)

    def _serve(self, port: int) -> BaseWSGIServer:
        server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return server

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(f"{environ['REQUEST_METHOD']} {path}")
        if self.refuse and self.refuse(environ["REQUEST_METHOD"], path):
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [f"<Error><Code>AccessDenied</Code><Message>{SECRET}</Message></Error>".encode()]

        def without_sums(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            """Our own sums are looked at, not those that S3 sends."""
            return start(status, [one for one in headers if "checksum" not in one[0].lower()], *more)

        with self._one_at_a_time:
            answer = list(self._app(environ, without_sums))
        if self.fault and environ["REQUEST_METHOD"] == "GET":
            return self.fault(path, b"".join(answer))
        return answer

    def holds(self, keys: Iterable[str]) -> None:
        """Have empty objects of these names, at once."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            backend.put_object(BUCKET, key, b"")


class _Quiet(WSGIRequestHandler):
    """Writes no lines about requests."""

    def log(self, *_: Any, **__: Any) -> None:
        """Nobody reads them."""


@contextmanager
def s3_server(setenv: Callable[[str, str], None]) -> Iterator[S3]:
    """A server, and an environment in which the libraries find it."""
    import boto3

    server = S3()
    environment = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    try:
        yield server
    finally:
        server.vanish()
