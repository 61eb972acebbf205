"""Further training of the whole network: foretold, judged on images held out, kept only where it is better."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonic.bundles import probabilities
from harmonic.data import prepare_all
from harmonic.transfer import Transferred, finetuning
from harmonic.transfer.example import parts, with_head_of
from harmonic.transfer.findings import finetuning_words, further_lines
from harmonic.transfer.finetuning import ALWAYS, LADDER, Plan, finetuned, longest_plan
from harmonic.transfer.paired import Paired

SMALL = Plan(20, 1)


@pytest.mark.parametrize(
    ("each", "left", "most", "wanted"),
    [
        (1.0, 100.0, 1e9, None),  # twice 100 steps do not fit
        (1.0, 240.0, 1e9, LADDER[0]),
        (1.0, 480.0, 1e9, LADDER[1]),
        (0.01, 480.0, 1e9, LADDER[-1]),
        (0.01, 480.0, 420, Plan(400, 4)),  # few images
        (0.01, 480.0, 50, LADDER[0]),
    ],
)
def test_the_longest_training_that_ends_in_time_is_planned(
    each: float, left: float, most: float, wanted: Plan | None
) -> None:
    assert longest_plan(each, left, most) == wanted


def test_a_step_that_takes_a_little_longer_plans_the_same_training() -> None:
    """Rungs are wide: what is trained does not follow the clock's every move."""
    planned = {longest_plan(each, 480.0, 1e9) for each in np.linspace(1.05, 1.95, 20)}
    assert len(planned) == 1


@pytest.fixture(scope="module")
def always(fitted: Transferred) -> Transferred:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "ALWAYS", SMALL)
        return finetuned(fitted, left=0.0, seed=1, balanced=False, always=True)


def test_what_is_kept_is_judged_by_images_that_were_not_learned(always: Transferred, fitted: Transferred) -> None:
    done, example = always.finetuned, always.example
    assert done is not None
    assert example is not None
    assert (done.kept, done.steps, done.paired.images) == (True, SMALL.steps, len(example.others))
    assert set(example.learned).isdisjoint(example.others)
    assert list(always.judgement.places) == list(example.others)
    held = prepare_all(always.survey.images.subset(example.others), example.bundle.card.pixels, title="")
    own = probabilities(example.bundle.model, example.bundle.card.pixels, held)
    np.testing.assert_allclose(own, always.judgement.mean, atol=1e-4)  # cooled by the same temperature
    notes = always.bundle.card.metrics["fit"]
    assert notes["finetuned"]["steps"] == SMALL.steps
    assert "images held out of 1 trainings" in notes["judged_by"]
    assert notes["accuracy"]["value"] == pytest.approx(always.judgement.accuracy.value, abs=1e-4)
    assert fitted.finetuned is None


def test_the_same_images_and_seed_give_the_same_bits(
    always: Transferred, fitted: Transferred, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "ALWAYS", SMALL)
    again = finetuned(fitted, left=0.0, seed=1, balanced=False, always=True)
    changed = False
    for name, tensor in again.bundle.model.state_dict().items():
        assert torch.equal(tensor, always.bundle.model.state_dict()[name]), name
        changed |= not torch.equal(tensor, fitted.bundle.model.state_dict()[name])
    assert changed
    assert again.bundle.card == always.bundle.card


@pytest.mark.parametrize("balanced", [False, True])
def test_only_what_is_better_by_more_than_the_noise_is_kept(
    fitted: Transferred, monkeypatch: pytest.MonkeyPatch, balanced: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(finetuning, "LADDER", (SMALL,))
    found = finetuned(fitted, left=1e9, seed=1, balanced=balanced, tell=said.append)
    assert found.finetuned is not None
    assert found.finetuned.kept == found.finetuned.paired.better
    assert (found.bundle is fitted.bundle) == (not found.finetuned.kept)
    assert said[-1] == finetuning_words(found.finetuned)
    assert further_lines(found) == [said[-1]]


def test_without_time_nothing_is_trained_and_it_is_said(fitted: Transferred) -> None:
    said: list[str] = []
    found = finetuned(fitted, left=0.5, seed=1, balanced=False, tell=said.append)
    assert found is fitted
    assert "Fine-tuning is left out: 2 times 100 steps would take" in said[0]


def test_a_head_without_a_part_of_the_images_answers_it_as_its_features_say(fitted: Transferred) -> None:
    learned, others = parts(fitted, 1)[0]
    made, wanted = with_head_of(fitted, learned, others, 1, False)
    held = prepare_all(fitted.survey.images.subset(others), made.bundle.card.pixels, title="")
    np.testing.assert_allclose(probabilities(made.bundle.model, made.bundle.card.pixels, held), wanted, atol=1e-4)


def test_words_say_what_was_gained_and_why_it_was_kept_or_not(always: Transferred) -> None:
    assert always.finetuned is not None
    better = Paired(100, (0.70, 0.72), (1.0, 0.8), 0.05)
    words = {
        finetuning_words(replace(always.finetuned, paired=one, kept=kept))
        for one, kept in ((better, True), (replace(better, error=0.3), True), (replace(better, error=0.3), False))
    }
    assert len(words) == 3
    (gained,) = (line for line in words if "gained 2.0 points and was kept" in line)
    assert "accuracy 70.0% to 72.0%, log loss 1.000 to 0.800 (± 0.050), on 100 images held out" in gained
    assert ALWAYS in LADDER
