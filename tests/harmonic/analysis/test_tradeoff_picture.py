"""The picture of error against size."""

from xml.etree import ElementTree

import pytest
from PIL import Image

from harmonic.analysis.tradeoff import Point
from harmonic.analysis.tradeoff_picture import draw_tradeoff
from harmonic.errors import PictureError

POINTS = [
    Point("harm_wrn10_1", {"level": 1}, "one", "", 12_000, 12_000_000, (50.0, 52.0), ("a", "b")),
    Point("harm_wrn10_1", {}, "one", "", 78_000, 12_000_000, (40.0,), ("c",)),
    Point("wrn10_0.5", {}, "one", "", 20_000, 4_000_000, (60.0,), ("d",)),
]
ELSEWHERE = Point("wrn10_0.5", {}, "two", "", 20_000, 4_000_000, (30.0,), ("e",))
FAR = Point("wrn28_10", {}, "two", "", 36_000_000, 5_000_000_000, (4.0,), ("f",))


def drawn(points, path, **options):
    draw_tradeoff(points, path, split="test", **options)
    return path.read_bytes()


def dashed(svg):
    return [e for e in ElementTree.fromstring(svg).iter() if "stroke-dasharray" in e.get("style", "")]


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_equal_points_are_equal_pictures(tmp_path, name):
    assert drawn(POINTS, tmp_path / name) == drawn(POINTS, tmp_path / f"other-{name}")


def test_a_png_opens_and_is_small(tmp_path):
    assert len(drawn([*POINTS, ELSEWHERE], tmp_path / "a.png")) < 100_000
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (900, 660)


def test_the_second_data_set_is_dashed(tmp_path):
    assert not dashed(drawn(POINTS, tmp_path / "one.svg"))
    assert len(dashed(drawn([*POINTS, ELSEWHERE], tmp_path / "two.svg"))) == 2  # the line, and its sample in the legend


@pytest.mark.parametrize("points", [POINTS[:1], [*POINTS, ELSEWHERE, FAR], POINTS * 2])
@pytest.mark.parametrize("counted", ["parameters", "macs"])
def test_few_and_far_and_equal_points_are_drawn(tmp_path, points, counted):
    assert drawn(points, tmp_path / "a.svg", counted=counted) != drawn(POINTS, tmp_path / "b.svg")


def test_another_kind_of_picture_is_refused(tmp_path):
    with pytest.raises(PictureError, match=r"\.png, \.svg or \.pdf"):
        draw_tradeoff(POINTS, tmp_path / "a.tiff", split="test")
