"""`harmonic fit`: one command from a folder to a version; and the right words for wrong folders."""

import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from export import pipeline
from export.manifest import read_manifest
from harmonic import zoo
from harmonic.bundles import Bundle, Card, bundle
from harmonic.pixels import PixelSpec
from harmonic.training.trainee import Trainee
from harmonic.transfer import finetuning
from tests.support.commands import done, harmonic, refused
from tests.support.images import plain
from tests.support.limits import files_up_to
from tests.support.pictures import CLASSES, encoded, texture

QUICK = ("--finetune", "never")


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a cache and a small network as the backbone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(1)
    card = Card(architecture="harm_wrn10_0.5", classes=("x", "y"), pixels=PixelSpec(height=12, width=12))
    bundle.save(Bundle(card, zoo.create("harm_wrn10_0.5", 2)), tmp_path / "backbone")
    return tmp_path


def folder(root: Path, images: int = 8, splits: tuple[str, ...] = ("",)) -> Path:
    for number, split in enumerate(splits):
        for kind in CLASSES:
            (root / split / kind).mkdir(parents=True)
            for seed in range(images):
                (root / split / kind / f"{seed}.png").write_bytes(encoded(texture(kind, 100 * number + seed)))
    return root


def test_a_folder_becomes_a_version_with_a_report(tmp_path: Path) -> None:
    data = folder(tmp_path / "textures", splits=("train", "test"))
    (data / "train" / CLASSES[0] / "broken.png").write_bytes(b"broken")
    (tmp_path / "runs" / "textures-1").mkdir(parents=True)
    ended = harmonic("fit", data, "--name", "textures", "--backbone", tmp_path / "backbone", "--json", *QUICK)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    shown, told = ended.stderr, json.loads(ended.stdout)
    assert "24 images of 3 classes, 12 x 12" in shown
    assert "1 cannot be read and are left out: textures/train/texture0/broken.png" in shown
    assert "Accuracy on images held out:" in shown
    assert "On the 24 test images of textures test:" in shown
    assert "Next: harmonic serve --repository models --default-model textures" in shown
    assert told["version"] == str(Path("models/textures/1"))
    assert told["bundle"] == str(Path("runs/textures-2/bundle"))
    assert told["accuracy"]["low"] <= told["accuracy"]["value"] <= told["accuracy"]["high"]
    assert told["test"]["images"] == 24
    assert told["finetuned"] is None
    version, run = tmp_path / "models/textures/1", tmp_path / "runs/textures-2"
    assert read_manifest(version).classes == CLASSES
    assert "By 3 x 5-fold cross-validation" in (version / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")
    made = bundle.load(run / "bundle")
    assert made.card.classes == CLASSES
    assert made.report is not None
    assert made.report.accuracy.value == pytest.approx(told["accuracy"]["value"], abs=1e-4)
    assert (version / "report.json").read_text(encoding="utf-8") == made.report.written()
    assert "report.json" in read_manifest(version).files


def test_int8_is_tried_on_the_photographs_that_can_be_read(tmp_path: Path) -> None:
    data = folder(tmp_path / "textures")
    (data / CLASSES[0] / "broken.png").write_bytes(b"broken")
    asked = ("--name", "textures", "--backbone", tmp_path / "backbone", "--precision", "fp32,int8", *QUICK)
    ended = harmonic("fit", data, *asked)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    kept = [variant.precision for variant in read_manifest(tmp_path / "models/textures/1").variants]
    assert "int8 on 24 images" in ended.output
    assert ("int8 was left out:" in ended.output) != ("int8" in kept)


def test_int8_is_judged_by_test_images_where_there_are_some(tmp_path: Path) -> None:
    data = folder(tmp_path / "textures", splits=("train", "test"))
    for kind in CLASSES:
        (data / "test" / kind / "0.png").unlink()
    asked = ("--name", "textures", "--backbone", tmp_path / "backbone", "--precision", "fp32,int8", *QUICK)
    ended = harmonic("fit", data, *asked)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    assert "calibrating int8 on 24 images" in ended.output
    assert re.search("on 21 labelled images|of 21 images", ended.output)


def test_heavy_words_come_before_heavy_work(tmp_path: Path) -> None:
    data = folder(tmp_path / "textures", images=2)
    (tmp_path / "there").mkdir()
    asked = ("fit", data, "--backbone", tmp_path / "backbone")
    assert "there exists already" in refused(*asked, "--name", "a", "--out", tmp_path / "there")
    assert "cannot be a model's name" in refused(*asked, "--name", "../a")
    assert "for `harmonic compress`" in refused(*asked, "--name", "a", "--compress", "latency=0.5")
    assert "int9" in refused(*asked, "--name", "a", "--precision", "fp32,int9")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no images in class folders"),
        ({"a/1.png": plain()}, "has the single class 'a'"),
        ({"a/1.png": plain(), "a/2.png": plain("blue"), "b/1.png": plain("green")}, "b: a single image"),
        ({"a/1.png": plain(), "b/1.heic.txt": b"", "b/2.raw": b""}, "class folders without an image"),
        (
            {"a/1.png": b"no", "a/2.png": b"no", "b/1.png": plain(), "b/2.png": plain("blue")},
            "no image of a can be read",
        ),
        ({"train/1.png": plain(), "train/2.png": plain("blue")}, "single class"),
    ],
)
def test_wrong_folders_get_the_right_words(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    for name, content in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    (tmp_path / "data").mkdir(exist_ok=True)
    said = refused("fit", tmp_path / "data", "--name", "a", "--backbone", tmp_path / "backbone")
    assert words in said
    assert not (tmp_path / "models").exists()


def test_a_zip_and_what_is_no_network(tmp_path: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for kind in CLASSES[:2]:
            for seed in range(3):
                archive.writestr(f"{kind}/{seed}.png", encoded(texture(kind, seed)))
    (tmp_path / "data.zip").write_bytes(written.getvalue())
    asked = ("fit", tmp_path / "data.zip", "--name", "a", "--backbone")
    assert "there is no architecture 'nothing'" in refused(*asked, "nothing")
    assert "Published" not in done(*asked, tmp_path / "backbone", "--size", 32, "--balanced", "--seed", 3, *QUICK)
    assert np.array_equal(sorted(p.name for p in (tmp_path / "models/a").iterdir() if p.name.isdigit()), ["1"])


@pytest.mark.parametrize("cache", ["/proc/nothing", "file"])
def test_a_cache_that_cannot_be_written_is_told_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / cache))
    asked = ("fit", folder(tmp_path / "textures", 2), "--name", "textures", "--backbone", tmp_path / "backbone")
    assert f"{cache}/features: cannot be written" in refused(*asked)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("option", "place"), [("--out", "/proc/nothing/run"), ("--repository", "file")])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_computed(
    tmp_path: Path, option: str, place: str
) -> None:
    (tmp_path / "file").write_text("")
    asked = ("fit", folder(tmp_path / "textures", 2), "--name", "textures", "--backbone", tmp_path / "backbone")
    assert "cannot be written" in refused(*asked, option, tmp_path / place)
    assert not (tmp_path / "cache").exists()


def _asked(tmp_path: Path) -> tuple[object, ...]:
    data = folder(tmp_path / "textures", 4)
    return ("fit", data, "--name", "textures", "--backbone", tmp_path / "backbone", "--out", tmp_path / "run", *QUICK)


@pytest.mark.parametrize(("size", "words"), [(500, "name another folder in HARMONIC_CACHE"), (20_000, "run/bundle")])
def test_a_full_disk_is_told_wherever_it_is_met(tmp_path: Path, size: int, words: str) -> None:
    asked = _asked(tmp_path)
    with files_up_to(size):
        said = refused(*asked)
    assert words in said
    assert "cannot be written: File too large" in said
    assert not (tmp_path / "models" / "textures").exists()


def test_what_is_stopped_or_fails_while_it_is_published_leaves_the_bundle_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _asked(tmp_path)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "emit", stopped)
        ended = harmonic(*asked)
    assert ended.exit_code == 130
    words = shlex.split(ended.stderr.split("To publish it: ")[1])
    assert words[:2] == ["harmonic", "export"]
    assert not (tmp_path / "models" / "textures").exists()
    done(*words[1:])
    assert read_manifest(tmp_path / "models" / "textures" / "1").classes == CLASSES


def test_the_network_is_trained_and_compressed_and_what_is_served_says_how_it_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "ALWAYS", finetuning.Plan(10, 1))
    further = ("--finetune", "always", "--compress", "0.8", "--max-drop", "100", "--json")
    ended = harmonic(*_asked(tmp_path), *further)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    told, manifest = json.loads(ended.stdout), read_manifest(tmp_path / "models/textures/1")
    assert (told["finetuned"]["steps"], told["finetuned"]["kept"], told["compressed"]["kept"]) == (10, True, True)
    assert manifest.parameters == told["compressed"]["parameters"][1] < told["compressed"]["parameters"][0]
    assert manifest.metrics["fit"]["accuracy"]["value"] == pytest.approx(told["accuracy"]["value"], abs=1e-4)
    assert "held out of one training, compressed" in manifest.metrics["fit"]["judged_by"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Fine-tuning (10 steps)", "Compression to params=0.8"):
        assert words in ended.stderr
        assert words in page


def test_what_is_stopped_while_it_is_trained_keeps_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainee, "training_step", stopped)
    ended = harmonic(*_asked(tmp_path), "--finetune", "always")
    assert ended.exit_code == 130
    assert f"Stopped. The bundle {tmp_path / 'run' / 'bundle'} is whole. To publish it:" in ended.stderr
    assert bundle.load(tmp_path / "run" / "bundle").card.metrics["fit"]["images"] == 12
