"""Several bundles become versions of one model, all of them or none; and what `harmonic compress --front` publishes."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from export.errors import ExportError, RepositoryError
from export.manifest import read_manifest
from export.points import version_publisher
from export.predictor import version_predictor
from export.repository import versions
from harmonic.bundles import Bundle
from harmonic.compression import compressed
from harmonic.errors import BundleError
from tests.support.commands import done, refused
from tests.support.compression import given, network
from tests.support.forks import ended, forked
from tests.support.textures import write_textures

SMALL = "harm_wrn10_0.5"


def _points() -> list[Bundle]:
    start = given(network(SMALL), SMALL)
    return [compressed(start, {"groups.0.0.conv1": level}, record={"budget": f"params=0.{level}"}) for level in (1, 3)]


def _quiet(step: str) -> None:
    """Nobody listens."""


def test_every_point_is_a_version_with_goldens_and_says_which_point_it_is(tmp_path: Path) -> None:
    (tmp_path / "pets" / "4").mkdir(parents=True)
    folders = version_publisher(tmp_path, "pets", _quiet)(_points())
    assert [folder.name for folder in folders] == ["5", "6"]
    for folder, point in zip(folders, _points(), strict=True):
        manifest = read_manifest(folder)
        assert manifest.metrics["compression"] == point.card.metrics["compression"]
        goldens = np.load(folder / "golden.npz")
        predictor = version_predictor(str(folder))
        assert predictor is not None
        answers = torch.softmax(torch.from_numpy(goldens["logits"].astype(np.float64)), 1).numpy()
        np.testing.assert_allclose(predictor(goldens["images"]), answers, atol=1e-5)


class _Unlike(torch.nn.Module):
    """A network whose answers no graph gives: they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network(SMALL)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x) + (1 if torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting() else 0)


def test_a_point_that_cannot_be_exported_leaves_none_of_them(tmp_path: Path) -> None:
    good = _points()[0]
    with pytest.raises(ExportError):
        version_publisher(tmp_path, "pets", _quiet)([good, Bundle(good.card, _Unlike())])
    assert versions(tmp_path, "pets") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_publisher_that_is_killed_half_way_leaves_no_version_and_the_next_clears_up(tmp_path: Path) -> None:
    assert ended(forked(None, _publish_and_die, tmp_path)) == -signal.SIGKILL
    assert versions(tmp_path, "pets") == []
    assert len(list((tmp_path / "pets").glob(".*"))) == 2
    assert [folder.name for folder in version_publisher(tmp_path, "pets", _quiet)(_points())] == ["1", "2"]
    assert not list((tmp_path / "pets").glob(".*"))


def _publish_and_die(repository: Path) -> None:
    """Publish, and be killed as the second manifest is written: both versions are all but whole."""

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith("manifest.json") and "/.2." in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    version_publisher(repository, "pets", _quiet)(_points())


@pytest.mark.parametrize(
    ("repository", "name", "error", "words"),
    [
        ("models", "../pets", RepositoryError, "cannot be a model's name"),
        ("/proc/nothing", "pets", BundleError, "/proc/nothing/pets: cannot be written"),
        ("file", "pets", BundleError, "file/pets: cannot be written"),
    ],
)
def test_where_nothing_can_be_published_is_told_first(
    tmp_path: Path, repository: str, name: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=words):
        version_publisher(tmp_path / repository, name, _quiet)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from harmonic.bundles import bundle

    base = tmp_path_factory.mktemp("front")
    write_textures(base / "images", classes=3, each=8, side=12)
    start = given(network(SMALL), SMALL)
    pixels = start.card.pixels.model_copy(update={"height": 12, "width": 12})
    card = start.card.model_copy(update={"pixels": pixels, "classes": ("texture0", "texture1", "texture2")})
    bundle.save(Bundle(card, start.model), base / "start")
    return base


@pytest.mark.slow
def test_a_front_becomes_versions_the_most_faithful_last_with_its_latency(base: Path, tmp_path: Path) -> None:
    run = ("compress", base / "start", "--data", base / "images", "--images", 20, "--no-refit", "--front")
    to = ("--out", tmp_path / "front", "--repository", tmp_path / "models", "--name", "tiny", "--json")
    told = json.loads(done(*run, *to))
    found = [tmp_path / "models" / "tiny" / str(n) for n in versions(tmp_path / "models", "tiny")]
    assert sorted(told["versions"]) == sorted(map(str, found))
    sizes = [read_manifest(folder).parameters for folder in found]
    assert len(sizes) >= 4
    assert sizes == sorted(sizes)
    assert read_manifest(found[-1]).metrics["compression"]["budget"] == "params=0.9"
    assert all(len(point["latency_ns"]) == 2 for point in told["front"])
    assert "<!-- latency, share of" in (tmp_path / "front" / "front.svg").read_text()


def test_a_front_that_cannot_be_published_is_refused_before_it_is_measured(base: Path, tmp_path: Path) -> None:
    run = ("compress", base / "start", "--data", base / "images", "--images", 20, "--out", tmp_path / "new")
    assert "belong together" in refused(*run, "--front", "--repository", tmp_path / "models")
    assert "belong together" in refused(*run, "--front", "--name", "tiny")
    wanted = ("--repository", tmp_path / "models", "--name", "tiny")
    assert "belong together" in refused(*run, *wanted, "--budget", "params=0.5")
    assert "cannot be a model's name" in refused(*run, "--front", "--repository", tmp_path, "--name", "no/name")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "models").exists()
