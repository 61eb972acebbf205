"""The report beside a bundle: kept with it, and read strictly."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from harmonic import zoo
from harmonic.bundles import Bundle, Card, bundle
from harmonic.bundles.report import REPORT, Estimate, Report, read_report
from harmonic.errors import BundleError
from harmonic.pixels import PixelSpec

SHARE = Estimate(value=0.5, low=0.4, high=0.6)
FOUND = Report(
    source="here", judged_by="seen once", images=4, accuracy=SHARE, balanced_accuracy=SHARE, class_count=2, classes=()
)


def saved(folder: Path, report: Report | None = FOUND) -> Path:
    card = Card(architecture="wrn10_1", classes=("a", "b"), pixels=PixelSpec(height=8, width=8))
    bundle.save(Bundle(card, zoo.create("wrn10_1", 2), report), folder / "made")
    return folder / "made"


def test_a_report_is_kept_with_its_bundle(tmp_path):
    assert bundle.load(saved(tmp_path)).report == FOUND


def test_a_bundle_without_a_report_has_no_file_of_one(tmp_path):
    folder = saved(tmp_path, None)
    assert not (folder / REPORT).exists()
    assert bundle.load(folder).report is None


def test_a_report_is_of_one_network_alone(tmp_path):
    made = bundle.load(saved(tmp_path))
    assert replace(made, card=made.card).report == FOUND
    assert Bundle(made.card, made.model).report is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{", "Remove it"),
        ("[]", "Remove it"),
        ('{"schema_version": 9}', "schema 9; this build reads 1"),
        (json.dumps(FOUND.model_dump() | {"pictures": ["x"]}), "pictures"),
        (json.dumps(FOUND.model_dump() | {"confusion": [[-1.0]]}), "confusion"),
    ],
)
def test_what_is_no_report_is_told_in_words(tmp_path, written, words):
    folder = saved(tmp_path)
    (folder / REPORT).write_text(written)
    with pytest.raises(BundleError, match=words):
        bundle.load(folder)


def test_a_figure_that_is_no_number_is_never_written():
    with pytest.raises(ValidationError):
        Estimate(value=float("nan"))


def test_a_folder_without_one_has_none(tmp_path):
    assert read_report(tmp_path) is None
