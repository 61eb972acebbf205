"""A norm that follows the traffic answers more pictures rightly than a frozen one, once light and camera are others."""

import os
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.manifest import read_manifest
from harmonic.data import read
from harmonic.pixels import prepare
from service.batching import BatchPolicy
from service.engine.loading import Loaded, load_version
from service.runtime import CPU, Placement, Running
from tests.support.images import encoded
from tests.support.process import PATIENCE_S, run, serving
from tests.support.textures import write_textures

RECIPE = """
title = "The smallest harmonic network, briefly"
[model]
architecture = "harm_wrn10_1"
[data]
validation = 0.1
[train]
epochs = 2
batch = 64
rate = 0.1
schedule = { kind = "one-cycle" }
"""
VARIANTS = {"folded": "default", "native": "native"}
CAST = {"gain": (0.6, 0.5, 0.4), "offset": (70, 30, 0), "noise": 3.0}
WINDOW, IMAGES = 128, 512
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A served model, and pictures that it knows with their classes."""

    root: Path
    images: Pictures
    labels: NDArray[np.int64]

    def accuracy(self, images: Pictures, window: int) -> float:
        """Share of right answers, in the order of the pictures, 32 in a call."""
        entry = load_version(self.root, "net", 1, Placement((CPU,), 1), BatchPolicy(), 1, Running("native", window))
        assert isinstance(entry, Loaded), entry
        calls = [entry.sessions[0].run(images[start : start + 32]) for start in range(0, len(images), 32)]
        return float((np.concatenate(calls).argmax(axis=1) == self.labels).mean())


def shifted(images: Pictures, gain: tuple[float, ...], offset: tuple[float, ...], noise: float) -> Pictures:
    """Less contrast, a cast of colour, grain."""
    grain = np.random.default_rng(7).normal(0, noise, images.shape)
    return np.clip(images * np.array(gain) + np.array(offset) + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["textures", pytest.param("photographs", marks=pytest.mark.data)])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Trained, exported and read with the command line."""
    base = tmp_path_factory.mktemp(request.param)
    data = photographs() if request.param == "photographs" else write_textures(base / "images", classes=10, each=300)
    (base / "tiny.toml").write_text(RECIPE)
    command("train", base / "tiny.toml", "--data", data, "--out", base / "run", "--threads", 1)
    flags = ("--stem", "native", "--norm", "adaptive", "--max-batch", 32)
    command("export", base / "run" / "bundle", "--repository", base / "models", "--name", "net", *flags)
    return Case(base / "models", *chosen(base, data))


def photographs() -> Path:
    path = Path(os.environ.get("HARMONIC_DATA", "/nonexistent")) / "cifar10-test.zip"
    if not path.is_file():
        pytest.skip("needs cifar10-test.zip in HARMONIC_DATA")
    return path


def command(*arguments: object) -> None:
    ended = run(*arguments)
    assert ended.returncode == 0, ended.stderr


def chosen(base: Path, data: Path) -> tuple[Pictures, NDArray[np.int64]]:
    """Pictures in mixed order, as the model takes them."""
    pixels = read_manifest(base / "models" / "net" / "1").pixels
    everything = read([data], "test")
    images = everything.subset(np.random.default_rng(0).permutation(len(everything))[:IMAGES])
    return np.stack([prepare(images.open(index), pixels) for index in range(IMAGES)]), images.labels


def test_following_the_traffic_helps_where_light_and_camera_are_others(case: Case) -> None:
    images = shifted(case.images, **CAST)
    frozen, following = case.accuracy(images, 0), case.accuracy(images, WINDOW)
    assert following > frozen + 0.05, f"{following:.3f} against {frozen:.3f}"


def test_following_the_traffic_costs_little_where_nothing_changed(case: Case) -> None:
    assert case.accuracy(case.images, WINDOW) > case.accuracy(case.images, 0) - 0.03


def test_a_service_answers_alike_in_both_forms(case: Case) -> None:
    folded, native = (labels(case, stem) for stem in ("folded", "native"))
    assert native == folded


def labels(case: Case, stem: str) -> list[str]:
    """The likeliest classes of twenty pictures, from a service of its own."""
    found = []
    with serving(case.root, "--stem", stem, "--device", "cpu", "--threads", "1") as (url, _):
        assert httpx.get(f"{url}/v1/models/net").json()["versions"][0]["variant"] == VARIANTS[stem]
        for image in case.images[:20]:
            answer = httpx.post(f"{url}/v1/classify", content=encoded(Image.fromarray(image)), timeout=PATIENCE_S)
            found.append(answer.json()["predictions"][0]["classes"][0]["label"])
    return found
