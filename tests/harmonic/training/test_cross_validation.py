"""Every image is tested once, by a run that did not learn from it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from harmonic.bundles import read_card
from harmonic.errors import DataError
from harmonic.training.cross_validation import cross_validate, summed_up
from tests.support.runs import CPU, images, recipe

PLAN = recipe(epochs=1, validation=0.0)


def test_the_folds_cover_the_images_and_their_figures_are_summed_up(tmp_path):
    said = []
    own = {"where": CPU, "start": None, "teacher": None}
    figures = cross_validate(PLAN, images(60), tmp_path / "run", 3, **own, tell=said.append)
    tests = [read_card(tmp_path / "run" / f"fold-{n}" / "bundle").metrics["test"] for n in (1, 2, 3)]
    assert [test["images"] for test in tests] == [20, 20, 20]
    assert figures["top1"]["values"] == [test["top1"] for test in tests]
    assert json.loads((tmp_path / "run" / "folds.json").read_text()) == figures
    assert [line for line in said if line.startswith("Fold")] == ["Fold 1 of 3:", "Fold 2 of 3:", "Fold 3 of 3:"]
    said.clear()
    assert cross_validate(PLAN, images(60), tmp_path / "run", 3, **own, tell=said.append) == figures
    assert sum("nothing was trained" in line for line in said) == 3


def test_more_folds_than_the_rarest_class_has_images_are_refused(tmp_path):
    few = replace(images(60), labels=np.repeat([0, 1, 2], [3, 30, 27]))
    with pytest.raises(DataError, match="the rarest class has images for 3 folds, not 5"):
        cross_validate(PLAN, few, tmp_path / "run", 5, where=CPU, start=None, teacher=None, tell=print)
    assert not (tmp_path / "run").exists()


def test_mean_deviation_and_interval():
    runs = [{"images": 9, "top1": x, "balanced_accuracy": x, "calibration_error": 0.0} for x in (0.5, 0.6, 0.7, 0.6)]
    found = summed_up(runs)
    assert found["images"] == 36
    assert found["top1"]["mean"] == pytest.approx(0.6)
    assert found["top1"]["deviation"] == pytest.approx(np.std([0.5, 0.6, 0.7, 0.6], ddof=1))
    assert found["top1"]["interval"] == pytest.approx([0.6 - 0.08165, 0.6 + 0.08165], abs=1e-5)
