"""A version's report beside its card, in a real Chromium: what it shows, and what nobody's file can do to the page."""

import json
import re

import pytest

from tests.support.colours import publish_colours
from tests.support.contrast import CONTRAST
from tests.support.documents import FOUND, TRAP, add_documents, add_report
from tests.support.images import plain
from tests.support.process import serving

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
READ = """
async (found) => {
  const { read } = await import("/page/reading.js");
  try { read(found); return null; } catch (error) { return `${error.constructor.name}: ${error.message}`; }
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A model that is sure of nothing, and two whose reports are none."""
    root = tmp_path_factory.mktemp("report") / "models"
    certainty = {"probability": 0.9999, "precision": 0.95, "at_least": 0.88, "images": 60}
    add_documents(publish_colours(root, schema_version=3, certainty=certainty))
    add_report(publish_colours(root, name="broken"), "<script>document.title='trapped'</script>")
    add_report(publish_colours(root, name="hostile"), json.dumps(FOUND | {"images": "many"}))
    with serving(root, default_model="colours") as (url, _):
        yield url


@pytest.fixture
def report(page):
    place = page.locator("#report")
    place.locator(".score").first.wait_for()
    return place


def open_all(page):
    for name in ("Model card", "Classes", "Confusion"):
        page.locator("summary", has_text=name).click()
    page.locator("#report .confusion").wait_for()


def test_figures_come_with_their_intervals(report):
    right, mean = (one.inner_text() for one in report.locator(".score").all())
    assert re.sub(r"\s+", " ", right) == "Right answers 80.0 % 70.0 % to 90.0 %"
    assert re.sub(r"\s+", " ", mean) == "Mean of classes 75.0 %"
    band, scale = (report.locator(f".score {part}").first.bounding_box() for part in (".band", ".scale-of"))
    assert (band["x"] - scale["x"]) / scale["width"] == pytest.approx(0.7, abs=0.01)
    assert band["width"] / scale["width"] == pytest.approx(0.2, abs=0.01)


def test_what_was_judged_and_from_where_on_it_is_sure_is_said(report):
    said = report.inner_text()
    assert f"60 images of {TRAP}, 3 x 5-fold cross-validation." in said
    assert "Sure from 99.99 % on, which 50.0 % of the images reach: " in said
    assert "of such answers 95 % were right, and of others at least 88 %, as far as 60 images can say." in said
    assert f"More images help, of {TRAP} above all." in said


def test_one_curve_is_drawn_at_a_time(page, report):
    chart = report.get_by_role("img")
    assert "right: 90.0 % at 0.60, 100.0 % at 0.90." in chart.get_attribute("aria-label")
    page.get_by_role("radio", name="Calibration").check()
    assert report.locator("circle.first").count() == 2
    page.get_by_role("radio", name="Learning").check()
    assert chart.get_attribute("aria-label") == (
        "Right answers by number of images. right: 50.0 % at 12, 80.0 % at 48."
    )
    across, up = (float(report.locator("circle").last.get_attribute(name)) for name in ("cx", "cy"))
    assert (across, up) == pytest.approx((310, 39.2), abs=0.1)


def test_the_classes_stand_the_weakest_first_with_what_they_are_taken_for(page, report):
    page.locator("summary", has_text="Classes").click()
    rows = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in report.locator("tbody tr").all()]
    assert rows == [
        [f"{TRAP}\nred 49 %", "20", "50 %", "80 %"],
        ["red", "30", "90 %", "85 %"],
        ["blue", "10", "–", "–"],
    ]


def test_a_confusion_is_a_table_whose_cells_are_as_dark_as_their_share(page, report):
    page.locator("summary", has_text="Confusion").click()
    cells = report.locator(".confusion tbody td")
    assert cells.all_inner_texts() == ["27", "2", "1", "9.8", "10", "0.2", "", "", "10"]
    assert cells.nth(3).evaluate("node => node.style.getPropertyValue('--share')") == "49%"
    assert cells.nth(4).get_attribute("title") == f"{TRAP}, answered {TRAP}: 10"


def test_nothing_in_a_report_is_run(page, report):
    open_all(page)
    assert report.locator("img, script").count() == 0
    assert page.title() == "Harmonic"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("broken", "its file is no JSON."),
        ("hostile", 'images is not a number from 0 to 1000000000000, but "many".'),
    ],
)
def test_a_file_that_is_no_report_is_told_and_the_rest_of_the_page_lives(page, model, words):
    page.select_option("#model", model)
    sync_api.expect(page.locator("#report .error")).to_have_text(f"This version's report cannot be shown: {words}")
    sync_api.expect(page.locator("#spectrum")).to_contain_text("brings no spectrum")
    assert page.title() == "Harmonic"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "of schema 2"),
        ({"schema_version": None}, "of schema null"),
        ({"source": {"a": 1}}, "source is not a text"),
        ({"accuracy": 0.8}, "accuracy is not a set"),
        ({"accuracy": {"value": 1e9}}, "accuracy is not a number"),
        ({"accuracy": {"value": 0.5, "low": -1}}, "accuracy is not a number"),
        ({"classes": "red"}, "classes is not a list"),
        ({"classes": [None]}, "classes is not a set"),
        ({"classes": [{"name": "a", "images": 1}] * 101}, "classes has 101 entries"),
        ({"confusion": [[1, 2], [3]]}, "confusion does not fit"),
        ({"confusion": [[0] * 31] * 31}, "confusion has 31 entries"),
        ({"thresholds": [{"probability": 0.5, "right": True, "kept": 1}]}, "thresholds.right is not a number"),
        ({"calibration": [{"probability": 0.5, "right": 1, "images": "1"}] * 2}, "calibration.images is not"),
        ({"learning": [{"images": 1, "accuracy": 0.5}] * 100_000}, "learning has 100000 entries"),
        ({"remarks": [["x"]]}, "remarks is not a text"),
        ({"remarks": "x" * 10_000}, "remarks is not a list"),
    ],
)
def test_every_wrong_shape_has_its_words(page, change, words):
    said = page.evaluate(READ, FOUND | change)
    assert said is not None
    assert said.startswith("Unreadable: ")
    assert words in said


@pytest.mark.parametrize("given", [None, [], "report", 3, {}])
def test_what_is_no_report_at_all_has_its_words(page, given):
    assert page.evaluate(READ, given).startswith("Unreadable: it is")


def test_what_a_report_need_not_have_may_be_missing(page):
    least = {key: FOUND[key] for key in ("schema_version", "source", "judged_by", "images", "class_count")}
    even = {"value": 0.5}
    assert page.evaluate(READ, least | {"accuracy": even, "balanced_accuracy": even}) is None


def test_low_confidence_is_said_with_the_precision_that_it_comes_from(page):
    page.set_input_files("#files", [{"name": "red.png", "mimeType": "image/png", "buffer": plain("red")}])
    words = page.locator("#results .unsure")
    sync_api.expect(words).to_have_text("Not sure: below 99.99 %, the threshold that gives 95 % precision.")


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_stands_out_from_its_ground(page, report):
    open_all(page)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_needs_no_sideways_scrolling(page, report):
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
