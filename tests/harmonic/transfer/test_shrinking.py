"""Compression of a fitted classifier: kept only where images that it did not learn say that it costs little."""

import numpy as np
import pytest

from harmonic.bundles import bundle
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from harmonic.transfer import Transferred, report_page
from harmonic.transfer.findings import compression_words
from harmonic.transfer.shrinking import budget, smaller


@pytest.fixture(scope="module")
def small(fitted: Transferred) -> Transferred:
    return smaller(fitted, wanted=budget("0.7"), most_drop=100.0, seed=1, balanced=False)


def test_what_is_kept_is_smaller_and_judged_by_images_that_were_not_learned(
    small: Transferred, fitted: Transferred, tmp_path
) -> None:
    done = small.compressed
    assert done is not None
    assert small.example is not None
    assert done.kept
    assert parameters(small.bundle.model) == done.parameters[1] <= 0.7 * parameters(fitted.bundle.model)
    assert set(small.example.learned).isdisjoint(small.example.others)
    assert list(small.judgement.places) == list(small.example.others)
    assert small.judgement.accuracy.value == pytest.approx(done.accuracy[1])
    figures = small.bundle.card.metrics["compression"]
    assert (figures["held_out_images"], figures["top1_after"]) == (done.images, done.accuracy[1])
    bundle.save(small.bundle, tmp_path / "made")
    assert bundle.load(tmp_path / "made").card.metrics["compression"]["agreement"] == done.agreement
    assert compression_words(done) in report_page(small).replace("&#x27;", "'")


def test_what_loses_too_much_is_not_kept(fitted: Transferred) -> None:
    said: list[str] = []
    found = smaller(fitted, wanted=budget("0.12"), most_drop=-100.0, seed=1, balanced=False, tell=said.append)
    assert found.compressed is not None
    assert not found.compressed.kept  # nothing can gain so much
    assert found.bundle is fitted.bundle
    assert np.array_equal(found.judgement.probabilities, fitted.judgement.probabilities)
    assert "was not kept, since it loses more than -100 points (--max-drop)" in said[0]


def test_a_budget_that_nothing_meets_leaves_the_classifier_as_it_was(fitted: Transferred) -> None:
    said: list[str] = []
    found = smaller(fitted, wanted=budget("0.001"), most_drop=100.0, seed=1, balanced=False, tell=said.append)
    assert found is fitted
    assert "Not compressed: nothing that may be left out brings the network to" in said[0]


def test_budgets_are_those_of_compress_without_what_wants_a_clock_or_honest_labels() -> None:
    assert str(budget("0.5")) == str(budget("params=0.5")) == "params=0.5"
    assert str(budget("macs=0.25")) == "macs=0.25"
    for text in ("latency=0.5", "accuracy=-1"):
        with pytest.raises(CompressionError, match="is for `harmonic compress`"):
            budget(text)
    with pytest.raises(CompressionError, match="a budget is params=SHARE"):
        budget("small")
