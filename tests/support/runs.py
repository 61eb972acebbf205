"""Tiny training runs: a recipe, images to learn, what a run's folder holds, and runs that are killed."""

import csv
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from harmonic.data import Images
from harmonic.training.recipe import Recipe
from harmonic.training.train import Where, train
from tests.support.forks import complaints, ended, forked
from tests.support.textures import texture
from tests.support.waiting import until

CPU = Where("cpu", 1)
# What Lightning warns of in tiny runs.
LIGHTNING_ASKS = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning asks PyTorch in the old way.
    pytest.mark.filterwarnings("ignore:The '.*dataloader' does not have many workers"),  # Tiny images are in memory.
    pytest.mark.filterwarnings("ignore:Precision bf16-mixed is not supported by the model summary"),
]
STEP = {"kind": "step", "milestones": [1, 3], "factor": 0.3}
COSINE = {"kind": "cosine", "warmup": 2}
CYCLE = {"kind": "one-cycle", "warmup": 0.3}


def recipe(epochs=4, schedule=STEP, validation=0.2, augment=None, pixels=(12, 12), **section):
    """A tiny harmonic network with dropout on 12 x 12 pixels."""
    return Recipe.model_validate(
        {
            "title": "tiny",
            "model": {"architecture": "harm_wrn10_0.5", "arguments": {"dropout": 0.3, "level": 3}},
            "pixels": {"height": pixels[0], "width": pixels[1]},
            "data": {"validation": validation},
            "augment": augment or {"pad_crop": 2, "flip": True, "cutout": 3},
            "train": {"epochs": epochs, "batch": 16, "schedule": schedule, "precision": "fp32", **section},
        }
    )


class Textures:
    """Opens texture number i of three classes, in turn."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, index):
        rng = np.random.default_rng((self.seed, index))
        return Image.fromarray(texture(index % 3, 3, rng, side=12))


def images(count=60, seed=0, classes=("a", "b", "c")):
    return Images(f"textures {seed}", classes, np.arange(count) % 3, [f"t{i}" for i in range(count)], Textures(seed))


def weights(folder):
    return load_file(folder / "bundle" / "weights.safetensors")


def assert_identical(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def log(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def learn(plan, out):
    """What a run's process does; a shell's background jobs ignore the interrupt, and so would this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    train(plan, images(), out, where=CPU)


def start(plan, out):
    """The run in a process of its own; `said` has what it says."""
    return forked(_said(out), learn, plan, out)


def said(out):
    """What the run's process has said so far."""
    return _said(out).read_text() if _said(out).exists() else ""


def wait_for(words, out, process):
    """Return as soon as the run has said these words; the test fails if it ends without."""
    until(lambda: words in said(out) or process.exitcode is not None)
    if words not in said(out):
        pytest.fail(f"the run ended before it said {words!r}: {complaints(_said(out)).read_text()}")


def _said(out):
    return out.with_name(f"{out.name}.said")


def kill_after_epoch(epoch, plan, out):
    """Start the run in a process of its own and kill it in the middle of the epoch that follows."""
    process = start(plan, out)
    wait_for(f"epoch {epoch}/", out, process)
    process.kill()
    assert ended(process) == -signal.SIGKILL
