"""Versions and precisions of a model, compared on one picture, in a real Chromium."""

import json
import re

import numpy as np
import pytest

from tests.support.colours import publish_colours, publish_in_two_precisions
from tests.support.contrast import CONTRAST
from tests.support.images import plain
from tests.support.process import serving

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
RED = {"name": "red.png", "mimeType": "image/png", "buffer": plain("red")}
SWAPPED = 8 / 255 * np.eye(3)[[1, 0, 2]]  # takes red for green


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A model with a version in two precisions, one that answers otherwise, and a broken one; and a lonely model."""
    root = tmp_path_factory.mktemp("compare") / "models"
    publish_in_two_precisions(root)
    publish_colours(root, weights=SWAPPED)
    publish_colours(root, golden_shift=1.0)
    publish_colours(root, name="lonely")
    with serving(root, default_model="colours", precision="int8,fp32") as (url, _):
        yield url


def compared(page):
    page.set_input_files("#files", [RED])
    page.get_by_role("button", name="Compare versions on red.png").click()
    region = page.get_by_role("region", name="Comparison on red.png")
    sync_api.expect(region).not_to_have_attribute("aria-busy", "true")
    return region


def cells(region):
    return [[part.inner_text() for part in row.locator("th, td").all()] for row in region.locator("tbody tr").all()]


def test_every_version_and_precision_answers_side_by_side(page):
    rows = cells(compared(page))
    assert [name for name, *_ in rows] == ["2 fp32", "1 fp32", "1 int8"]
    assert [answer for _, answer, *_ in rows] == ["green differs", "red", "red"]
    whole, int8 = (float(re.search(r"[\d.]+", row[2])[0]) for row in rows[1:])
    assert whole > int8  # it is made half as sure
    assert all(re.match(r"[\d.]+ ms", time) for *_, time, _ in rows)
    took = [float(time.split()[0]) for *_, time, _ in rows]
    alone = took.count(min(took)) == 1
    assert [time.endswith("fastest") for *_, time, _ in rows] == [alone and each == min(took) for each in took]
    assert all(re.fullmatch(r"\d+(\.\d+)? K?B", size) for *_, size in rows)


def test_sizes_are_those_of_the_files(page, address):
    listed = page.request.get(f"{address}/v1/models").json()["models"]
    sizes = {
        (model["name"], each["version"]): each["size_bytes"]
        for model in listed
        for each in model["versions"]
        if each["state"] == "ready"
    }
    assert set(sizes) == {("colours", 1), ("colours", 2), ("colours:fp32", 1), ("colours:fp32", 2), ("lonely", 1)}
    assert all(size > 200 for size in sizes.values())


def test_a_model_with_one_version_has_nothing_to_compare(page):
    page.select_option("#model", "lonely")
    sync_api.expect(page.locator("#version option")).to_have_count(2)
    page.set_input_files("#files", [RED])
    page.locator("#results .timing").wait_for()
    assert page.get_by_role("button", name="Compare versions").count() == 0


@pytest.mark.complains("503")
def test_one_that_cannot_answer_says_so_in_its_row_and_the_others_go_on(page):
    gone = {"error": {"code": "not_ready", "message": "it is being unloaded"}}
    page.route("**/versions/2/classify", lambda route: route.fulfill(status=503, body=json.dumps(gone)))
    rows = cells(compared(page))
    assert rows[0][:2] == ["2 fp32", "it is being unloaded"]
    assert [answer for _, answer, *_ in rows[1:]] == ["red", "red"]


def test_pressing_again_compares_again_in_the_same_place(page):
    compared(page)
    page.get_by_role("button", name="Compare versions on red.png").click()
    sync_api.expect(page.get_by_role("region", name="Comparison on red.png")).to_have_count(1)
    sync_api.expect(page.locator(".compared tbody tr")).to_have_count(3)


@pytest.mark.parametrize("page", [{"viewport": {"width": 360, "height": 740}, "has_touch": True}], indirect=True)
def test_a_phone_needs_no_sideways_scrolling(page):
    compared(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_the_table_stands_out_from_its_ground(page):
    compared(page)
    assert page.evaluate(CONTRAST) == []
