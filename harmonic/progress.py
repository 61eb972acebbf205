"""A training run's live display: a bar for the epoch with loss, accuracy, images a second and the time left in the
whole run."""

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class EpochBar(Callback):
    """One bar for the epoch at hand, and one printed line for each finished epoch (all that a log file sees)."""

    def __init__(self) -> None:
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            refresh_per_second=2,
        )
        self.task = TaskID(0)
        self.epoch_started = 0.0

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
        if not trainer.is_global_zero:
            return
        done, seconds = batch_idx + 1, time.monotonic() - self.epoch_started
        speed = done * len(batch[1]) * trainer.world_size / seconds
        epochs_left = (trainer.max_epochs or 0) - trainer.current_epoch - done / trainer.num_training_batches
        left = seconds / done * trainer.num_training_batches * epochs_left
        loss = float(outputs["loss"]) if done % 10 == 1 else None
        state = f"{_figures(trainer, loss)}{speed:,.0f} images/s, {_clock(left)} left"
        self.bar.update(self.task, completed=done, state=state)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            took = _clock(time.monotonic() - self.epoch_started)
            self.bar.console.print(f"epoch {_epoch(trainer)}: {_figures(trainer, None)}took {took}", highlight=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.bar.stop()


def _epoch(trainer: L.Trainer) -> str:
    return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"


def _figures(trainer: L.Trainer, loss: float | None) -> str:
    names = {"train_loss": "loss", "train_accuracy": "accuracy", "val_loss": "val loss", "val_accuracy": "val accuracy"}
    shown = {
        short: float(trainer.callback_metrics[name])
        for name, short in names.items()
        if name in trainer.callback_metrics
    }
    if loss is not None:
        shown["loss"] = loss
    return "".join(f"{name} {value:.3f}, " for name, value in shown.items())


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
