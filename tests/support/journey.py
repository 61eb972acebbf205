"""A small harmonic network, trained with the command line in half a minute to know most of what it has seen."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harmonic.data import read
from tests.support.process import run
from tests.support.textures import write_textures

RECIPE = """
title = "The smallest harmonic network, briefly"
[model]
architecture = "harm_wrn10_1"
[data]
validation = 0.1
[train]
epochs = 4
batch = 32
rate = 0.1
schedule = { kind = "one-cycle" }
"""
PICTURES = 1500


@dataclass(frozen=True)
class Trained:
    """A run of training and its pictures, in one folder."""

    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder / "run" / "bundle"

    @property
    def pictures(self) -> Path:
        """Ten folders, one a class."""
        return self.folder / "pictures"


def train(folder: Path, photographs: bool | None = None) -> Trained:
    """Train on photographs where they are at hand, else on generated textures; or on what is asked for."""
    made = Trained(folder)
    real = Path(os.environ.get("HARMONIC_DATA", "/nonexistent")) / "cifar10-test.zip"
    if real.is_file() if photographs is None else photographs:
        write_photographs(real, made.pictures)
    else:
        write_textures(made.pictures, classes=10, each=PICTURES // 10)
    (folder / "tiny.toml").write_text(RECIPE)
    data = ("--data", made.pictures, "--test", made.pictures)
    ended = run("train", folder / "tiny.toml", *data, "--out", folder / "run", "--threads", 1)
    assert ended.returncode == 0, ended.stderr
    return made


def write_photographs(source: Path, folder: Path) -> None:
    """Some photographs of each class, in a folder a class."""
    every = read([source], "test")
    for index in np.random.default_rng(0).permutation(len(every))[:PICTURES]:
        place = folder / every.classes[every.labels[index]]
        place.mkdir(parents=True, exist_ok=True)
        every.open(index).save(place / f"{index:05}.png")
