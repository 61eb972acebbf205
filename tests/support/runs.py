"""Tiny training runs: a recipe, images to learn, what a run's folder holds, and runs that are killed."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from harmonic.data import Images
from harmonic.training.recipe import Recipe
from harmonic.training.train import Where
from tests.support.textures import texture

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


PROGRAM = """
import signal
import sys
from pathlib import Path
from harmonic.training.recipe import Recipe
from harmonic.training.train import train
from tests.support.runs import CPU, images
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would this
train(Recipe.model_validate_json(sys.argv[1]), images(), Path(sys.argv[2]), where=CPU)
"""


def start(plan, out):
    command = [sys.executable, "-c", PROGRAM, plan.model_dump_json(), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def kill_after_epoch(epoch, plan, out):
    """Start the run in a process of its own and kill it in the middle of the epoch that follows."""
    with start(plan, out) as process:
        for line in process.stdout:
            if line.startswith(f"epoch {epoch}/"):
                process.kill()
                break
        else:
            pytest.fail(f"the run ended before epoch {epoch}")
        assert process.wait() == -9
