"""`harmonic compress` in a bad world: full disks, places that cannot be written, images that are none, a person who
stops it. Each gets words, and nothing is half written."""

from pathlib import Path

import pytest

from harmonic.bundles import Bundle, bundle
from tests.support.commands import done, harmonic, refused
from tests.support.compression import given, network
from tests.support.images import plain
from tests.support.limits import files_up_to
from tests.support.textures import write_textures


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("attacked")
    write_textures(base / "images", classes=3, each=8, side=16)
    start = given(network("harm_wrn10_0.5"), "harm_wrn10_0.5")
    classes = ("texture0", "texture1", "texture2")
    bundle.save(Bundle(start.card.model_copy(update={"classes": classes}), start.model), base / "start")
    return base


@pytest.fixture
def run(base: Path, tmp_path: Path) -> tuple[object, ...]:
    return (
        "compress",
        base / "start",
        "--data",
        base / "images",
        "--images",
        20,
        "--no-refit",
        "--out",
        tmp_path / "o",
    )


HALF = ("--budget", "params=0.5")


def _nothing(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == []


@pytest.mark.parametrize("place", ["/proc/nothing/new", "file/new"])
def test_a_place_that_cannot_be_written_is_told_before_images_are_read(base: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    asked = ("compress", base / "start", "--data", base / "gone", *HALF, "--out", tmp_path / place)
    assert f"{place}: cannot be written" in refused(*asked)


@pytest.mark.parametrize("what", [(*HALF, "--no-latency"), ("--front", "--no-latency"), (*HALF, "--latency")])
def test_a_full_disk_leaves_nothing(run: tuple[object, ...], tmp_path: Path, what: tuple[str, ...]) -> None:
    with files_up_to(1000):
        assert "cannot be written: File too large" in refused(*run, *what)
    assert _nothing(tmp_path)


def test_without_a_cache_latency_is_left_out_unless_it_is_wanted(
    run: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARMONIC_CACHE", "/proc/nothing")
    told = "/proc/nothing/layouts.json: cannot be written"
    assert told in refused(*run, *HALF, "--latency")
    assert told in refused(*run, "--budget", "latency=0.5")
    to = ("--repository", tmp_path / "models", "--name", "x")
    assert told in refused(*run, "--front", *to)
    assert _nothing(tmp_path)
    shown = done(*run, *HALF)
    assert f"Latency is not measured: {told}" in shown
    assert bundle.load(tmp_path / "o").card.classes


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no images in class folders"),
        ({"texture0/a.png": plain()}, "has the single class"),
        ({"texture0/a.png": b"no", "texture1/a.png": b""}, "2 of 2 images cannot be read"),
    ],
)
def test_images_that_are_none_or_too_few_are_told(
    base: Path, tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    asked = ("compress", base / "start", "--data", tmp_path / "data", *HALF, "--out", tmp_path / "o")
    assert words in refused(*asked)
    assert not (tmp_path / "o").exists()


def test_two_images_of_another_size_are_enough_to_end_in_order(base: Path, tmp_path: Path) -> None:
    """One to solve with, and one that is held out."""
    for number, kind in enumerate(("texture0", "texture1")):
        (tmp_path / "data" / kind).mkdir(parents=True)
        (tmp_path / "data" / kind / "a.png").write_bytes(plain(("red", "blue")[number], (90, 41)))
    done("compress", base / "start", "--data", tmp_path / "data", *HALF, "--out", tmp_path / "o", "--no-latency")
    told = bundle.load(tmp_path / "o").card.metrics["compression"]
    assert (told["calibration_images"], told["held_out_images"]) == (1, 1)


def test_an_empty_budget_is_no_budget(run: tuple[object, ...]) -> None:
    assert "a budget is params=SHARE" in refused(*run, "--budget", "")


def test_a_front_that_is_stopped_tells_which_bundles_are_whole(
    run: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    saved = bundle.save

    def save(made: Bundle, folder: Path) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(folder)
        saved(made, folder)

    monkeypatch.setattr(bundle, "save", save)
    ended = harmonic(*run, "--front", "--no-latency")
    assert ended.exit_code == 130
    assert f"Stopped. Whole: {calls[0]}." in ended.stderr
    assert bundle.load(calls[0]).card.metrics["compression"]["budget"] == "params=0.9"


def test_what_is_stopped_before_it_saved_anything_says_so(
    run: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "save", stopped)
    ended = harmonic(*run, *HALF, "--no-latency")
    assert (ended.exit_code, "Stopped. Nothing was saved." in ended.stderr) == (130, True)
    assert _nothing(tmp_path)


def test_bundles_stay_where_publishing_them_fails(run: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "models" / "x").mkdir(parents=True)
    (tmp_path / "models" / "x" / "2").write_text("no folder, but in the way of one")
    to = ("--repository", tmp_path / "models", "--name", "x")
    said = refused(*run, "--front", "--no-latency", *to)
    assert "no size was published" in said
    assert f"The bundles in {tmp_path / 'o'} are whole" in said
    assert bundle.load(tmp_path / "o" / "params=0.9").card.classes
    assert [path.name for path in (tmp_path / "models" / "x").iterdir()] == ["2"]
