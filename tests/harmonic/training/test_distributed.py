"""Runs of two processes on the CPU, which talk through gloo as GPUs do through NCCL."""

import csv
import json
import os
import runpy
import sys

import pytest
from safetensors.torch import load_file

from harmonic.training.recipe import Recipe
from tests.support.forks import complaints, ended, forked
from tests.support.house import ROOT

# A file, since the first process starts the second by giving its own command again.
PROGRAM = """
import os, sys
from pathlib import Path
from harmonic.training.recipe import Recipe
from harmonic.training.train import Where, train
from tests.support.runs import images

class Told:
    def __init__(self, opener, journal):
        self.opener, self.journal = opener, journal

    def __call__(self, index):
        with open(self.journal, "a") as file:
            file.write(f"{os.environ.get('LOCAL_RANK', 0)} {index}\\n")
        return self.opener(index)

if __name__ == "__main__":
    from dataclasses import replace
    given = images(60)
    given = replace(given, open=Told(given.open, sys.argv[3]))
    plan = Recipe.model_validate_json(sys.argv[1])
    train(plan, given, Path(sys.argv[2]), test=images(30, seed=9), where=Where("cpu", int(sys.argv[4])))
    print("finished")
"""


def recipe(model, epochs, side=12):
    return Recipe.model_validate(
        {
            "title": "tiny",
            "model": model,
            "pixels": {"height": side, "width": side},
            "data": {"validation": 0.2},
            "augment": {"pad_crop": 2, "flip": True},
            "train": {
                "epochs": epochs,
                "batch": 16,
                "rate": 0.05,
                "schedule": {"kind": "step", "milestones": []},
                "precision": "fp32",
            },
        }
    )


def trained(folder, plan, processes):
    """The run's folder, what it said, and which process opened which image."""
    program, out, journal = folder / "program.py", folder / str(processes), folder / f"{processes}.txt"
    program.write_text(PROGRAM)
    words = [str(program), plan.model_dump_json(), str(out), str(journal), str(processes)]
    said = folder / f"{processes}.said"
    assert ended(forked(said, first, words)) == 0, complaints(said).read_text()
    assert "Warning" not in complaints(said).read_text()
    return out, said.read_text(), [tuple(line.split()) for line in journal.read_text().splitlines()]


def first(words):
    """Be the program's first process, which starts the second with these words."""
    os.environ |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same recipe in one process and in two, with a network whose norms see single images."""
    folder = tmp_path_factory.mktemp("both")
    plan = recipe({"architecture": "timm/test_convnext"}, epochs=2, side=32)
    return trained(folder, plan, 1), trained(folder, plan, 2)


def rows(out):
    with (out / "log.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_processes_end_with_the_weights_of_one(both):
    one, two = (load_file(out / "bundle" / "weights.safetensors") for out, _, _ in both)
    assert one.keys() == two.keys()
    for name, wanted in one.items():
        assert (two[name] - wanted).abs().max() <= 1e-4 * wanted.abs().max().clamp(min=1), name


def test_the_figures_are_those_of_all_images_not_of_one_processs_share(both):
    (one, _, _), (two, _, _) = both
    for wanted, found in zip(rows(one), rows(two), strict=True):
        assert found == pytest.approx(wanted, abs=1e-3)
    cards = [json.loads((out / "bundle" / "bundle.json").read_text())["metrics"] for out in (one, two)]
    assert cards[0]["epoch"] == cards[1]["epoch"]
    assert cards[0]["test"]["top1"] == pytest.approx(cards[1]["test"]["top1"])


def test_the_first_process_reads_the_images_for_all(both):
    (_, _, alone), (out, _, opened) = both
    assert sorted(opened) == sorted(alone)
    assert {process for process, _ in opened} == {"0"}
    assert not list(out.glob(".prepared*"))


def test_only_the_first_process_speaks(both):
    _, (_, said, _) = both
    assert [line[:9] for line in said.splitlines()] == ["epoch 1/2", "epoch 2/2", "finished"]


def test_a_harmonic_network_learns_in_two_processes(tmp_path):
    """Its norms see half of every batch each: PyTorch shares them on GPUs alone."""
    plan = recipe({"architecture": "harm_wrn10_0.5", "arguments": {"level": 3}}, epochs=12)
    out, _, _ = trained(tmp_path, plan, 2)
    assert json.loads((out / "bundle" / "bundle.json").read_text())["metrics"]["test"]["top1"] > 0.6
