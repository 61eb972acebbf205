"""What survives a killed run: Lightning's state after the last finished epoch, the best epoch's weights, and the
log."""

import csv
import io
import pickle
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from harmonic.disk import renewed
from harmonic.errors import RunError, first_line
from harmonic.training.best_epoch import BestEpoch


class WholeFiles(TorchCheckpointIO):
    """Lightning's checkpoints, written beside their place: what is killed, or finds the disk full, leaves the last one.

    Lightning itself would write them to the system's folder for temporary files first, and leave them there if killed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        buffer = io.BytesIO()  # PyTorch's own writing of files does not say that a disk is full.
        torch.save(checkpoint, buffer)
        with renewed(Path(path)) as part:
            part.write_bytes(buffer.getbuffer())


class Checkpoints(Callback):
    """Keeps what a resumed run needs: the last finished epoch, and the weights of the best epoch so far.

    rule: how the best is found. every: epochs from one checkpoint to the next. patience: checkpoints without a better
    epoch after which the run ends; None goes on.
    Files are written beside their place and renamed, the best before the last: a kill in between repeats an epoch, no
    more. The trainer needs `WholeFiles`.
    """

    def __init__(
        self, network: nn.Module, folder: Path, rule: BestEpoch, *, every: int = 1, patience: int | None = None
    ) -> None:
        self.network, self.folder, self.rule, self.every = network, folder, rule, every
        self.patience = patience
        self.epoch, self.figures = -1, dict[str, float]()
        self.history: list[dict[str, float]] = []

    @property
    def last(self) -> Path:
        """Lightning's checkpoint of the last finished epoch."""
        return self.folder / "last.ckpt"

    @property
    def finished(self) -> int:
        """Epochs that the last checkpoint has behind it."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def resumable(self) -> Path | None:
        """The checkpoint to go on from; None for a new run. RunError for one that cannot be read."""
        if not self.last.exists():
            return None
        try:
            torch.load(self.last, map_location="meta", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
            raise _damaged(self.last, first_line(error)) from error
        return self.last

    def due(self, trainer: L.Trainer) -> bool:
        """Whether the epoch at hand ends with a checkpoint."""
        return (trainer.current_epoch + 1) % self.every == 0

    @property
    def log_file(self) -> Path:
        """Loss and accuracy by epoch, as CSV."""
        return self.folder / "log.csv"

    def weights(self) -> dict[str, Tensor]:
        """The network's state at the chosen epoch; RunError if it cannot be read."""
        try:
            return load_file(self._best)
        except (OSError, SafetensorError) as error:
            raise _damaged(self._best, error) from error

    @property
    def _best(self) -> Path:
        return self.folder / "best.safetensors"

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "figures": self.figures, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch, self.figures, self.history = state_dict["epoch"], state_dict["figures"], state_dict["history"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A run that was killed after its last epoch takes no other one."""
        trainer.should_stop = self._spent

    @property
    def _spent(self) -> bool:
        return self.patience is not None and self.finished - (self.epoch + 1) >= self.patience * self.every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.due(trainer):
            return
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.history.append({"epoch": trainer.current_epoch + 1, **figures})
        if self.epoch < 0 or self.rule.better(figures, self.figures):
            self.epoch, self.figures = trainer.current_epoch, figures
            if trainer.is_global_zero:
                self._save_best()
        trainer.save_checkpoint(self.last, weights_only=False)
        if trainer.is_global_zero:
            self.write_log()
        trainer.should_stop = self._spent

    def _save_best(self) -> None:
        state = {name: tensor.cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        with renewed(self._best) as part:
            part.write_bytes(save(state))  # save_file would hide it from other users

    def write_log(self) -> None:
        """From the history, so that a resumed run's log has every epoch once."""
        with renewed(self.log_file) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.history[0].keys())
            writer.writeheader()
            writer.writerows(self.history)


def _damaged(path: Path, reason: object) -> RunError:
    return RunError(f"{path}: damaged ({reason}). Remove the run's folder, or give another --out, to start over.")
