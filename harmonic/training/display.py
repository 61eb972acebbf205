"""A training run's live display: a bar for the epoch with loss, accuracy, images a second and the time left in the
whole run."""

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from harmonic.training.checkpoint import Checkpoints

_REFRESH_SECONDS = 0.5  # Reading a loss waits for the device; more often would slow it down.


class EpochBar(Callback):
    """One bar for the epoch at hand on a terminal, and one printed line for each epoch with a checkpoint (all that a
    log file sees)."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        console = Console(soft_wrap=True, highlight=False)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = TaskID(0)
        self.epoch_started = self.refreshed = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self.task = self.bar.add_task("", epoch="", state="")
            self.bar.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch_started = time.monotonic()
        if trainer.is_global_zero:
            self.bar.reset(self.task, total=trainer.num_training_batches, epoch=_epoch(trainer), state="")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if not trainer.is_global_zero or now - self.refreshed < _REFRESH_SECONDS:
            return
        self.refreshed = now
        done, seconds = batch_idx + 1, now - self.epoch_started
        speed = done * len(batch[1]) * trainer.world_size / seconds
        epochs_left = (trainer.max_epochs or 0) - trainer.current_epoch - done / trainer.num_training_batches
        left = seconds / done * trainer.num_training_batches * epochs_left
        figures = f"loss {float(outputs['loss']):.3f}, accuracy {float(outputs['accuracy']):.3f}"
        state = f"{figures}, {speed:,.0f} images/s, {_clock(left)} left"
        self.bar.update(self.task, completed=done, state=state)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero and self.checkpoints.due(trainer):
            took = _clock(time.monotonic() - self.epoch_started)
            self.bar.console.print(f"epoch {_epoch(trainer)}: {_figures(trainer)}took {took}")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.bar.stop()
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero:
            done = self.checkpoints.finished
            self.bar.console.print(f"Stopped. The same command goes on after epoch {done} of {trainer.max_epochs}.")


def _epoch(trainer: L.Trainer) -> str:
    return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"


def _figures(trainer: L.Trainer) -> str:
    """The finished epoch's means."""
    names = {"train_loss": "loss", "train_accuracy": "accuracy", "val_loss": "val loss", "val_accuracy": "val accuracy"}
    found = trainer.callback_metrics
    return "".join(f"{short} {float(found[name]):.3f}, " for name, short in names.items() if name in found)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
