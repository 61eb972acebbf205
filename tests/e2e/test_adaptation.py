"""A norm that follows the traffic answers more pictures rightly than a frozen one, once light and camera are others."""

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
from tests.support.forks import run
from tests.support.images import encoded
from tests.support.journey import Trained, train
from tests.support.process import PATIENCE_S, serving

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


pytestmark = pytest.mark.slow  # a network is trained for it


@pytest.fixture(scope="module", params=["first choice", "textures"])
def case(request: pytest.FixtureRequest, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Trained, exported and read with the command line: photographs where they are at hand, and textures."""
    base = tmp_path_factory.mktemp("case")
    network = train(base, photographs=False) if request.param == "textures" else trained
    flags = ("--stem", "native", "--norm", "adaptive", "--max-batch", 32)
    ended = run("export", network.bundle, "--repository", base / "models", "--name", "net", *flags)
    assert ended.returncode == 0, ended.stderr
    return Case(base / "models", *chosen(base, network.pictures))


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
