"""One process of a run among others: which share of every batch is its own, and images that only the first decodes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Share:
    """Which process of a distributed run this is.

    handed: the folder where the first process leaves prepared images for its helpers; None where there are none, and
    in a process that something else started: it reads for itself. busy: whether the arithmetic is done elsewhere (on a
    GPU), so that the CPU is free to make batches meanwhile.
    """

    rank: int = 0
    world: int = 1
    handed: Path | None = None
    busy: bool = False

    @property
    def helps(self) -> bool:
        """Whether the first process has read and checked every image already."""
        return self.rank > 0 and self.handed is not None

    def hand_over(self, what: str, prepared: NDArray[Any]) -> NDArray[Any]:
        """Prepared images for every process: from here on a file that all of them map, and none copies."""
        if self.handed is None:
            return prepared
        np.save(self.handed / f"{what}.npy", prepared)
        return self.taken_over(what)

    def taken_over(self, what: str) -> NDArray[Any]:
        """What the first process has handed over."""
        if self.handed is None:
            raise ValueError("nothing is handed over in a run of one process")
        mapped: NDArray[Any] = np.load(self.handed / f"{what}.npy", mmap_mode="c")
        return mapped


ALONE = Share()


@contextmanager
def sharing(run: Path, rank: int, world: int, *, busy: bool) -> Iterator[Share]:
    """This process's share, with the place for what the first hands over, which is gone in the end."""
    if world == 1:
        yield Share(busy=busy)
    elif rank:
        own = _place(run, os.getppid())
        yield Share(rank, world, own if own.exists() else None, busy)
    else:
        for left in run.glob(".prepared.*"):  # by a run that was killed
            shutil.rmtree(left)
        own = _place(run, os.getpid())
        own.mkdir(parents=True)
        try:
            yield Share(rank, world, own, busy)
        finally:
            shutil.rmtree(own)


def _place(run: Path, process: int) -> Path:
    """Named by the first process, which is the parent of those that it starts."""
    return run / f".prepared.{process}"
