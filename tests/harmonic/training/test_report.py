"""What a run says: first what it found, last what it reached; a warning where that is worth nothing."""

from dataclasses import replace

import numpy as np
import pytest

from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.errors import DataError
from harmonic.evaluation import Evaluation
from harmonic.training.curves import draw_curves
from harmonic.training.report import warnings
from harmonic.training.train import train
from tests.support.commands import done
from tests.support.runs import CPU, Textures, images, recipe
from tests.support.textures import write_textures


def told(plan, given, out, **more):
    lines = []
    train(plan, given, out, where=CPU, tell=lines.append, **more)
    return lines


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with a test, and what it said."""
    out = tmp_path_factory.mktemp("told") / "run"
    given = replace(images(), left_out={".jxl files": 12, "files without a suffix": 1})
    return out, told(recipe(epochs=2), given, out, test=images(30, seed=9))


def test_first_it_says_what_it_found(finished):
    assert finished[1][:4] == [
        "textures 0: 60 images in 3 classes (20 each): a, b, c.",
        "Of the images 48 are for training, 12 for validation, 30 for the test.",
        "3 steps an epoch, 2 epochs.",
        "Left out of textures 0: 12 .jxl files, 1 files without a suffix.",
    ]


def test_last_it_says_what_it_reached(finished):
    out, lines = finished
    metrics = bundle.read_card(out / "bundle").metrics
    kept, test = metrics["validation"]["val_accuracy"], metrics["test"]
    assert lines[4] == f"Epoch {metrics['epoch']} of 2 was kept: validation accuracy {kept:.2%}."
    assert lines[5].startswith(f"Test on 30 images of textures 9: {test['top1']:.2%} top-1, balanced accuracy")


def test_images_that_a_recipe_leaves_aside_are_counted(tmp_path):
    plan = recipe(epochs=1, validation=0.0)
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"limit": 30})})
    lines = told(plan, images(), tmp_path / "run")
    assert lines[1] == "Of the images 30 are for training, none for a test, 30 are left out by the recipe."
    assert "training accuracy" in lines[3]


def test_a_finished_run_says_that_nothing_was_trained(finished):
    out, _ = finished
    assert told(recipe(epochs=2), images(), out) == [f"{out} holds this run already, finished: nothing was trained."]


def test_the_curves_are_titled_by_what_was_trained_on_what(finished, tmp_path):
    """A recipe for CIFAR-10 on one's own photographs makes no curves of CIFAR-10."""
    out, _ = finished
    draw_curves(out / "log.csv", tmp_path / "curves.png", title="harm_wrn10_0.5, textures 0")
    assert (out / "curves.png").read_bytes() == (tmp_path / "curves.png").read_bytes()


def test_the_command_says_all_of_it(tmp_path):
    folder = write_textures(tmp_path / "pictures", classes=2, each=20, side=12)
    (folder / "texture0" / "1.jxl").write_bytes(b"x")
    (tmp_path / "tiny.toml").write_text(
        '[model]\narchitecture = "wrn10_0.5"\n[train]\nepochs = 1\nbatch = 8\nschedule = { kind = "cosine" }\n'
        "[pixels]\nheight = 12\nwidth = 12\n[data]\nvalidation = 0.2\n".replace("[model]", 'title = "t"\n[model]', 1)
    )
    command = ("train", tmp_path / "tiny.toml", "--data", folder, "--out", tmp_path / "run", "--accelerator", "cpu")
    first, again = done(*command).splitlines(), done(*command).splitlines()
    assert first[0] == "pictures: 40 images in 2 classes (20 each): texture0, texture1."
    assert "Left out of pictures: 1 .jxl files." in first
    assert any(line.startswith("Epoch 1 of 1 was kept: validation accuracy") for line in first)
    assert again[0].endswith("holds this run already, finished: nothing was trained.")
    assert again[-1].startswith("The bundle is")


# --- warnings ---


def measured(labels, answers, classes=("a", "b", "c", "d")):
    probabilities = np.eye(len(classes))[answers]
    return Evaluation("here", classes, np.array(labels), probabilities, 1.0)


LABELS = np.arange(400) % 4


def test_one_answer_to_everything_is_warned_of():
    lines = list(warnings(measured(LABELS, np.full(400, 2))))
    assert len(lines) == 1
    assert "it answers 'c' to every image" in lines[0]


@pytest.mark.parametrize("seed", range(5))
def test_guessing_is_warned_of_whatever_is_guessed_how_often(seed):
    rng = np.random.default_rng(seed)
    for shares in ([0.25] * 4, [0.9, 0.1, 0, 0]):
        lines = list(warnings(measured(LABELS, rng.choice(4, 400, p=shares))))
        assert len(lines) == 1
        assert "not measurably better than guessing (1 in 4)" in lines[0]


def test_guessing_the_frequent_class_of_many_is_warned_of():
    labels = np.repeat([0, 1, 2, 3], [850, 50, 50, 50])
    answers = np.where(np.random.default_rng(0).random(1000) < 0.97, 0, 1)
    assert list(warnings(measured(labels, answers)))


def test_a_classifier_that_knows_something_is_not_warned_of():
    answers = np.where(np.random.default_rng(0).random(400) < 0.3, LABELS, 0)
    assert list(warnings(measured(LABELS, answers))) == []


def test_images_of_one_class_say_nothing_about_guessing():
    assert list(warnings(measured(np.zeros(10, int), np.zeros(10, int)))) == []


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_network_that_learned_nothing_is_warned_of_by_its_own_run(tmp_path, part):
    """Labels that say nothing of the pictures."""
    labels = np.random.default_rng(0).permutation(np.arange(90) % 3)
    given = Images("lies", ("a", "b", "c"), labels, [f"t{i}" for i in range(90)], Textures(0))
    test = {"test": images(60, seed=2)} if part == "test" else {}
    lines = told(recipe(epochs=1, rate=1e-6), given, tmp_path / "run", **test)
    assert lines[-1].startswith("Warning: it ")


# --- whose run a folder holds ---


class Swapped(Textures):
    """The same pictures, but two of different classes have changed places."""

    def __call__(self, index):
        return super().__call__({0: 1, 1: 0}.get(index, index))


def corrected(given):
    return replace(given, open=Swapped(given.open.seed))


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_corrected_labels_are_no_longer_the_same_run(tmp_path, state):
    out, plan = tmp_path / "run", recipe(epochs=1)
    train(plan, images(), out, where=CPU)
    if state == "unfinished":
        (out / "bundle").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="other images or other labels"):
        train(plan, corrected(images()), out, where=CPU)
    with pytest.raises(DataError, match="other images or other labels"):
        train(plan, replace(images(), labels=np.roll(images().labels, 1)), out, where=CPU)


def test_other_validation_images_are_no_longer_the_same_run(tmp_path):
    out, plan = tmp_path / "run", recipe(epochs=1)
    train(plan, images(), out, validation=images(30, seed=3), where=CPU)
    train(plan, images(), out, validation=images(30, seed=3), where=CPU)
    for validation in (None, images(30, seed=4), corrected(images(30, seed=3))):
        with pytest.raises(DataError, match="other images or other labels"):
            train(plan, images(), out, validation=validation, where=CPU)


def test_a_finished_run_does_not_pretend_to_have_been_tested_on_other_images(finished):
    out, _ = finished
    train(recipe(epochs=2), images(), out, test=images(30, seed=9), where=CPU)
    with pytest.raises(DataError, match=r"tested on other images or labels\. .*harmonic evaluate"):
        train(recipe(epochs=2), images(), out, test=corrected(images(30, seed=9)), where=CPU)


def test_what_is_said_of_the_images_may_be_unreadable(tmp_path):
    out = tmp_path / "run"
    train(recipe(epochs=1), images(), out, where=CPU)
    for text in ("", "[]", "{"):
        (out / "data.json").write_text(text)
        with pytest.raises(DataError, match="other images or other labels"):
            train(recipe(epochs=1), images(), out, where=CPU)
