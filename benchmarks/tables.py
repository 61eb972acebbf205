"""What the tables of trained networks have in common: their arguments, their images, and their lines in Markdown."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

import torch

from harmonic import data
from harmonic.data import Images
from harmonic.heap import keep_freed_memory


def run_arguments(description: str, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """Images, where the runs lie, and seeds. seeds: those that are taken where none are named."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--test", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    return parser


def subset_arguments(description: str, backbone: str, known_to: str, size: int) -> argparse.ArgumentParser:
    """Those of a pretrained network on few images. known_to: whose words for a backbone are taken."""
    parser = run_arguments(description, [24, 25, 26, 27, 28])
    parser.add_argument("--limits", type=int, nargs="+", default=[100, 500, 1000], help="training images")
    parser.add_argument("--backbone", default=backbone, help=f"as of `harmonic {known_to}`")
    parser.add_argument("--size", type=int, default=size, help="of the image's side, in pixels")
    return parser


def on_one_thread(asked: argparse.Namespace) -> tuple[Images, Images]:
    """The images to learn and those of the test, for work on one CPU thread."""
    torch.set_num_threads(1)
    keep_freed_memory()
    return data.read(asked.data, "train"), data.read(asked.test, "test")


def head(names: Sequence[str], seeds: Iterable[int], last: str = "mean") -> str:
    """A table's head: the names, a column for each seed, and the last one."""
    columns = [*names, *(f"seed {seed}" for seed in seeds), last]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def line(names: Sequence[str], found: Iterable[float]) -> str:
    """A table's line: the names, the accuracies, and their mean."""
    accuracies = list(found)
    return f"| {' | '.join([*names, *(f'{top1:.2%}' for top1 in [*accuracies, mean(accuracies)])])} |"
