"""A short training in memory: a bundle's network learns some images for so many steps, and nothing is written.

For whoever trains to compare, and decides afterwards. What survives being killed is `train`.
"""

import copy
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harmonic.bundles import Bundle
from harmonic.data import Images
from harmonic.training.balance import Balance
from harmonic.training.hardware import Machine, Where, trainer_options
from harmonic.training.loaders import loaders
from harmonic.training.quiet import quiet_lightning
from harmonic.training.recipe import Recipe
from harmonic.training.run import in_steps
from harmonic.training.trainee import Trainee

_HERE = Where(devices=1)
_TIMED = 4  # steps; the first of them, which warms up, is not counted


def briefly(recipe: Recipe, start: Bundle, images: Images, title: str, where: Where = _HERE) -> Bundle:
    """A new bundle whose network has learned these images as the recipe says; the given one is unchanged.

    Every image is learned from and the last step's weights are kept, so the same recipe, images, weights and hardware
    give the same bits. recipe: its architecture, pixels and share for validation mean nothing here; where it wants a
    number of steps, epochs and batch follow from the images. title: of the bar that is shown meanwhile.
    """
    plan = in_steps(_whole(recipe), len(images), None)
    return _trained(plan, start, images, where, _Bar(title))


def seconds_a_step(recipe: Recipe, start: Bundle, images: Images, where: Where = _HERE) -> float:
    """How long one step takes here, loading included, by a few of them on a copy of the network."""
    plan = in_steps(_whole(recipe), len(images), None)
    watch = _Watch()
    _trained(plan, start, images, where, watch, most=_TIMED)
    return watch.seconds


def steps_an_epoch(recipe: Recipe, images: int) -> int:
    """Of a training on so many images."""
    return max(1, images // in_steps(_whole(recipe), images, None).train.batch)


def _whole(recipe: Recipe) -> Recipe:
    changes = {"data": recipe.data.model_copy(update={"validation": 0.0})}
    train = {"train": recipe.train.model_copy(update={"patience": None, "temperature": False})}
    return recipe.model_copy(update={**changes, **train})


def _trained(recipe: Recipe, start: Bundle, images: Images, where: Where, shown: Callback, most: int = -1) -> Bundle:
    """most: steps, of all that the recipe wants; -1 takes all."""
    L.seed_everything(recipe.train.seed, verbose=False)
    network, spec = copy.deepcopy(start.model), start.card.pixels
    nothing = images.subset(images.labels[:0])
    balance = Balance.of(recipe, images, images)
    module = Trainee(recipe, network, spec, balance, len(images.classes), finetuned=True)
    with quiet_lightning(), _interruptible():
        options = trainer_options(recipe.train, where, Machine.found())
        trainer = L.Trainer(**options, max_steps=most, logger=False, callbacks=[shown])
        trainer.fit(module, loaders(recipe, images, nothing, spec)[0])
    learned = module.judged.network.cpu().eval().requires_grad_(True)
    return Bundle(start.card, learned)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning ends the program at Ctrl-C, and ignores the next one; the caller is to decide."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as ended:
        if not isinstance(ended.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from None


class _Watch(Callback):
    """Times steps but the first."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.monotonic())

    @property
    def seconds(self) -> float:
        """Of one step."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


class _Bar(Callback):
    """One bar of all steps, where somebody watches."""

    def __init__(self, title: str) -> None:
        console = Console(stderr=True)
        self._title = title
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar.add_task(self._title, total=int(trainer.estimated_stepping_batches))
        self._bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar.update(self._bar.task_ids[0], completed=trainer.global_step)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._bar.stop()
