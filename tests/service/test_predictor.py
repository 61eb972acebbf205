"""A running service as a predictor: the answers of the graph it serves, whole and in order."""

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from export.predictor import version_predictor
from harmonic.errors import HarmonicError
from harmonic.evaluation.evaluate import open_predictor
from tests.support.colours import publish_colours
from tests.support.process import free_port, serving

PIXELS = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    publish_colours(root, weights=-np.eye(3))
    return root


@pytest.fixture(scope="module")
def model(repository: Path):
    with serving(repository, "--max-batch", "16") as (url, _):
        yield f"{url}/v1/models/colours"


@pytest.mark.parametrize(("path", "version"), [("", 2), ("/versions/1", 1), ("/versions/2/", 2)])
def test_a_service_answers_as_its_graph(model: str, repository: Path, path: str, version: int):
    remote, local = open_predictor(model + path), version_predictor(str(repository / "colours" / str(version)))
    assert (remote.classes, remote.pixels) == (local.classes, local.pixels)
    np.testing.assert_allclose(remote(PIXELS), local(PIXELS), atol=1e-6)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/versions/9", "no such version"),
        ("/versions/nine", "names no model"),
        ("x", "404"),
        ("/classify", "names no model"),
    ],
)
def test_an_address_that_is_no_models_is_refused(model: str, path: str, says: str):
    with pytest.raises(HarmonicError, match=says):
        open_predictor(model + path)


def test_a_service_that_is_not_there_is_told():
    with pytest.raises(HarmonicError, match="does not answer"):
        open_predictor(f"http://127.0.0.1:{free_port()}/v1/models/colours")


def test_an_answer_of_another_protocol_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/models/colours"

        def answer() -> None:
            caller, _ = listener.accept()
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            caller.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(HarmonicError, match="as this build expects"):
            open_predictor(address)
