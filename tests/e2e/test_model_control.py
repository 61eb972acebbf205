"""Versions that come and go under a service that is a process of its own, while others ask it without a pause."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import PATIENCE_S, run, serving

triton = pytest.importorskip("tritonclient.http")
from tritonclient.utils import InferenceServerException  # noqa: E402


class Load:
    """Callers that ask without a pause, by both protocols; every answer's status and version is kept."""

    def __init__(self, url: str, callers: int = 6) -> None:
        self._url = url
        self._over = threading.Event()
        self._came = threading.Condition()
        self.answers: list[tuple[int, str]] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def more(self, count: int) -> None:
        """Return when so many more answers have come."""
        with self._came:
            wanted = len(self.answers) + count
            assert self._came.wait_for(lambda: len(self.answers) >= wanted, PATIENCE_S)

    def _ask(self, number: int) -> None:
        body = plain("blue")
        pixels = np.zeros((1, 8, 8, 3), np.uint8).tobytes()
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            while not self._over.is_set():
                if number % 2:
                    response = client.post("/v1/models/colours/classify", content=body)
                    version = str(response.json().get("version"))
                else:
                    headers = {"Inference-Header-Content-Length": "0"}
                    response = client.post("/v2/models/colours/infer", content=pixels, headers=headers)
                    found = response.content.partition(b'"model_version":"')[2]
                    version = found.partition(b'"')[0].decode()
                with self._came:
                    self.answers.append((response.status_code, version))
                    self._came.notify_all()


def ready(url: str, version: str) -> None:
    """Return when that version alone is ready."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        listed = httpx.post(f"{url}/v2/repository/index", timeout=PATIENCE_S).json()
        if [entry["version"] for entry in listed if entry["state"] == "READY"] == [version]:
            return
    pytest.fail(f"version {version} did not come: {listed}")


def test_versions_swap_under_load_without_one_failed_request(tmp_path, workers):
    root = tmp_path / "models"
    publish_colours(root)
    with (
        serving(root, *workers, "--model-control", "poll", "--poll-seconds", "0.05", "--versions", "latest") as (
            url,
            _,
        ),
        Load(url) as load,
    ):
        load.more(50)
        for version in range(2, 12):
            if version == 6:
                publish_colours(root, golden_shift=1.0)  # a bad one in between moves nobody
                load.more(50)
                continue
            folder = publish_colours(root)
            ready(url, str(version))
            load.more(50)
            if version > 3:
                shutil.rmtree(folder.parent / str(version - 2), ignore_errors=True)
    assert len(load.answers) >= 500
    assert {status for status, _ in load.answers} == {200}
    assert {version for _, version in load.answers} >= {"1", "11"}
    assert "6" not in {version for _, version in load.answers}


def test_a_version_swaps_in_place_under_load(tmp_path, workers):
    root = tmp_path / "models"
    folder = publish_colours(root)
    other = publish_colours(tmp_path / "elsewhere")
    with (
        serving(root, *workers, "--model-control", "explicit", "--load-models", "*") as (url, _),
        Load(url) as load,
        triton.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        for _ in range(5):
            for file in other.iterdir():
                shutil.copy(file, folder / file.name)  # new times, so it is loaded anew
            client.load_model("colours")
            load.more(50)
    assert {status for status, _ in load.answers} == {200}


def test_tritons_client_loads_and_unloads(tmp_path, workers):
    root = tmp_path / "models"
    publish_colours(root)

    def infer(client: Any) -> str:
        tensor = triton.InferInput("images", [1, 8, 8, 3], "UINT8")
        tensor.set_data_from_numpy(np.zeros((1, 8, 8, 3), np.uint8))
        return str(client.infer("colours", [tensor]).get_response()["model_version"])

    with (
        serving(root, *workers, model_control="explicit") as (url, _),
        triton.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        assert not client.is_model_ready("colours")
        assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
        client.load_model("colours")
        assert infer(client) == "1"
        publish_colours(root, golden_shift=1.0)
        with pytest.raises(InferenceServerException, match="golden"):
            client.load_model("colours")
        assert infer(client) == "1"
        with pytest.raises(InferenceServerException, match="repository"):
            client.load_model("colours", config="{}", files={"file:1/model.onnx": b"x"})
        client.unload_model("colours")
        assert not client.is_model_ready("colours")
        with pytest.raises(InferenceServerException) as refusal:
            infer(client)
        assert refusal.value.status() == "404"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model-control", "push"], "model_control"),
        (["--versions", "newest"], "versions"),
        (["--poll-seconds", "0"], "poll_seconds"),
        (["--model-control", "explicit", "--load-models", "none"], "none"),
    ],
)
def test_what_cannot_be_followed_ends_the_start(tmp_path: Path, flags: list[str], said: str):
    publish_colours(tmp_path / "models")
    done = run("serve", "--repository", tmp_path / "models", "--port", "0", *flags)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
