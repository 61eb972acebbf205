"""Runs that go on from a bundle, and what holds for any run: clipping, accumulating, patience, steps, teachers."""

import shutil

import pytest
import torch

from harmonic.bundles import bundle, load
from harmonic.errors import DataError, RecipeError
from harmonic.training.checkpoint import Checkpoints
from harmonic.training.run import in_steps
from harmonic.training.train import train
from tests.support.runs import CPU, assert_identical, images, kill_after_epoch, log, recipe, weights

FLAT = {"kind": "step", "milestones": []}


def plan(finetune=None, distil=None, **fields):
    own = recipe(epochs=2, **{"schedule": FLAT, **fields})
    changes = {"finetune": finetune or {}, "distil": distil or {}}
    return type(own).model_validate({**own.model_dump(), **changes})


def changed_in(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_a_new_head_answers_the_classes_of_the_images(finished, tmp_path):
    others = images(60, classes=("x", "y", "z"))
    train(plan({"head": "new"}), others, tmp_path / "run", where=CPU, start=load(finished / "bundle"))
    card = bundle.read_card(tmp_path / "run" / "bundle")
    assert card.classes == ("x", "y", "z")
    assert card.recipe["finetune"]["head"] == "new"


def test_classes_that_a_kept_head_does_not_answer_are_told_with_the_remedy(finished, tmp_path):
    with pytest.raises(DataError, match=r"does not answer: x, y, z.*--head new"):
        others = images(60, classes=("x", "y", "z"))
        train(plan(), others, tmp_path / "run", where=CPU, start=load(finished / "bundle"))


def test_muon_is_refused_for_what_goes_on_from_a_bundle(finished, tmp_path):
    with pytest.raises(RecipeError, match=r'"muon" is for networks that begin anew.*goes on from a bundle'):
        train(plan(optimiser="muon"), images(), tmp_path / "run", where=CPU, start=load(finished / "bundle"))
    assert not (tmp_path / "run").exists()


def test_while_the_head_learns_alone_nothing_below_it_changes_not_even_a_norm(finished, tmp_path, monkeypatch):
    states, ended = [], Checkpoints.on_train_epoch_end

    def noted(self, *arguments):
        states.append({name: value.clone() for name, value in self.network.state_dict().items()})
        ended(self, *arguments)

    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", noted)
    own = plan({"head": "new", "head_epochs": 1}, weight_decay=0.1, momentum=0.9)
    train(own, images(), tmp_path / "run", where=CPU, start=load(finished / "bundle"))
    before, first, second = weights(finished), *states
    assert changed_in(before, first) == {"head.weight", "head.bias"}
    assert changed_in(first, second) == set(before)


def test_frozen_norms_keep_their_statistics_and_scales(finished, tmp_path):
    start = load(finished / "bundle")
    train(plan({"freeze_norms": True}), images(), tmp_path / "run", where=CPU, start=start)
    before = weights(finished)
    norms = {name.rpartition(".")[0] for name in before if name.endswith("running_mean")}
    changed = changed_in(before, weights(tmp_path / "run"))
    assert {name for name in before if name.rpartition(".")[0] in norms}.isdisjoint(changed)
    assert "head.weight" in changed


def test_the_licence_of_the_bundle_stays_with_its_network(finished, tmp_path):
    start = load(finished / "bundle")
    owned = bundle.Bundle(start.card.model_copy(update={"license": "MIT", "notice": "by somebody"}), start.model)
    train(plan(), images(), tmp_path / "run", where=CPU, start=owned)
    card = bundle.read_card(tmp_path / "run" / "bundle")
    assert (card.license, card.notice) == ("MIT", "by somebody")


@pytest.mark.parametrize("finetune", [{"head": "new"}, {"lowest_rate": 0.1}, {"freeze_norms": True}])
def test_a_plan_for_a_bundle_without_one_is_refused(tmp_path, finetune):
    with pytest.raises(RecipeError, match=r"name the bundle with --from"):
        train(plan(finetune), images(), tmp_path / "run", where=CPU)


def test_batches_may_make_a_step_together(tmp_path):
    train(recipe(epochs=2, accumulate=3, validation=0.0), images(96), tmp_path / "run", where=CPU)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 2 * 2


def test_gradients_are_shortened(tmp_path):
    """With a norm of nearly nothing, nothing is learned."""
    train(recipe(epochs=1, clip=1e-12, weight_decay=0.0), images(), tmp_path / "short", where=CPU)
    train(recipe(epochs=1, rate=1e-30, weight_decay=0.0), images(), tmp_path / "still", where=CPU)
    short, still = weights(tmp_path / "short"), weights(tmp_path / "still")
    assert all(torch.allclose(short[name], still[name], atol=1e-9) for name in short if "running" not in name)


def test_a_run_without_progress_ends_early_and_so_does_one_that_was_killed(tmp_path):
    patient = recipe(epochs=60, rate=3.0, patience=3)
    train(patient, images(), tmp_path / "whole", where=CPU)
    lines = log(tmp_path / "whole")
    best = min(lines, key=lambda row: float(row["val_loss"]))
    assert len(lines) == int(best["epoch"]) + 3 < 60
    kill_after_epoch(2, patient, tmp_path / "killed")
    train(patient, images(), tmp_path / "killed", where=CPU)
    assert log(tmp_path / "killed") == lines
    shutil.rmtree(tmp_path / "killed" / "bundle")  # as if killed after its last epoch, before its bundle
    train(patient, images(), tmp_path / "killed", where=CPU)
    assert log(tmp_path / "killed") == lines
    assert_identical(weights(tmp_path / "killed"), weights(tmp_path / "whole"))


def test_a_temperature_changes_no_answer_but_how_sure_it_is(tmp_path):
    for wanted in (False, True):
        train(recipe(temperature=wanted), images(), tmp_path / str(wanted), test=images(30, seed=9), where=CPU)
    plain, calm = (bundle.read_card(tmp_path / str(wanted) / "bundle").metrics for wanted in (False, True))
    assert calm["temperature"] > 0
    assert calm["test"]["top1"] == plain["test"]["top1"]
    assert calm["test"]["calibration_error"] != plain["test"]["calibration_error"]
    assert "temperature" not in plain


@pytest.mark.parametrize("fields", [{"patience": 2}, {"temperature": True}])
def test_what_needs_validation_images_says_so(tmp_path, fields):
    with pytest.raises(RecipeError, match="need validation images"):
        train(recipe(validation=0.0, **fields), images(), tmp_path / "run", where=CPU)


def test_a_teacher_is_learned_from(finished, tmp_path):
    """Labels that say nothing: what is learned is the teacher's."""
    teacher, seen = load(finished / "bundle"), images(96)
    mute = plan(distil={"weight": 1.0})
    train(mute, seen, tmp_path / "taught", where=CPU, teacher=teacher)
    train(mute, seen, tmp_path / "plain", where=CPU)
    assert not torch.equal(weights(tmp_path / "taught")["head.weight"], weights(tmp_path / "plain")["head.weight"])


@pytest.mark.parametrize(
    ("count", "steps", "wanted"),
    [(10_000, 1000, (128, 14)), (200, 300, (16, 27)), (30, 100, (2, 7)), (9, 10, (2, 2)), (4000, 1, (128, 1))],
)
def test_a_number_of_steps_gives_epochs_and_a_batch_for_the_images(count, steps, wanted):
    found = in_steps(recipe(epochs=1, steps=steps, validation=0.1, batch=128), count, None).train
    assert (found.batch, found.epochs) == wanted
    slow = recipe(epochs=1, steps=1).model_copy(update={"finetune": plan({"head_epochs": 3}).finetune})
    assert in_steps(slow, count, None).train.epochs >= 4  # in the last of them every layer learns
    assert in_steps(recipe(epochs=3), count, None).train.epochs == 3
