"""The end of a run: where its test runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonic.bundles import load
from harmonic.evaluation import bundle_predictor, evaluate
from harmonic.training.fitting import fitted
from harmonic.training.publishing import published
from harmonic.training.run import opened
from harmonic.training.run_folder import Given
from tests.support.runs import CPU, images, recipe


def test_the_test_images_are_measured_on_the_device_that_trained(tmp_path):
    """A device without values stands for it: it gives no answers, so that nothing can have been measured elsewhere."""
    run = opened(recipe(epochs=1), Given(images(), None, images(9, seed=1)), tmp_path / "run", None)
    done = fitted(run, CPU)
    assert done.device == torch.device("cpu")
    with pytest.raises(NotImplementedError, match="meta tensor"):
        published(run, replace(done, device=torch.device("meta")))


def test_a_calm_network_is_judged_with_the_answers_that_calmed_it(tmp_path):
    run = opened(recipe(epochs=1, temperature=True), Given(images(), images(60, seed=2), None), tmp_path / "run", None)
    done, seen = fitted(run, CPU), []
    seen_before = run.validation.open
    folder, measured = published(replace(run, validation=replace(run.validation, open=Noting(seen_before, seen))), done)
    assert sorted(seen) == list(range(60))  # each was opened once
    again = evaluate(bundle_predictor(str(folder)), run.validation)
    np.testing.assert_allclose(measured.probabilities, again.probabilities, rtol=1e-4, atol=1e-6)


def test_the_bundle_brings_the_report_of_the_images_that_were_measured(tmp_path):
    given = Given(images(), images(60, seed=2), images(90, seed=3))
    for test, count, way in ((given.test, 90, "tested once"), (None, 60, "which chose the epoch, too")):
        run = opened(recipe(epochs=1), replace(given, test=test), tmp_path / way[:2], None)
        folder, measured = published(run, fitted(run, CPU))
        report = load(folder).report
        assert (report.images, report.accuracy.value) == (count, pytest.approx(measured.top(1), abs=1e-4))
        assert report.accuracy.low < report.accuracy.value < report.accuracy.high
        assert report.judged_by == way
        assert sum(map(sum, report.confusion)) == count


def test_what_is_certain_is_told_by_the_test_images_unless_there_are_more_that_chose(tmp_path):
    plan = recipe(epochs=6, augment={"flip": False}, batch=8)
    run = opened(plan, Given(images(120), images(60, seed=2), None), tmp_path / "run", None)
    done = fitted(run, CPU)
    for tested, count in ((90, 90), (60, 60), (40, 60), (0, 60)):
        (out := tmp_path / str(tested)).mkdir()
        folder, _ = published(replace(run, test=images(tested, seed=3), out=out), done)
        found = load(folder)
        assert found.card.metrics["certainty"]["images"] == count
        assert found.report.images == (tested or 60)


class Noting:
    """Opens images, and notes which."""

    def __init__(self, opened, seen):
        self._open, self._seen = opened, seen

    def __call__(self, index):
        self._seen.append(index)
        return self._open(index)


@pytest.mark.gpu
def test_a_run_on_a_gpu_is_tested_there(tmp_path):
    from harmonic.bundles import Classifier
    from harmonic.training.train import Where, train

    seen = []

    def look(module, inputs, output):
        if isinstance(module, Classifier):
            seen.append(output.device.type)

    hook = torch.nn.modules.module.register_module_forward_hook(look)
    try:
        train(recipe(epochs=1), images(), tmp_path / "run", test=images(9, seed=1), where=Where("gpu", 1))
    finally:
        hook.remove()
    assert set(seen) == {"cuda"}
