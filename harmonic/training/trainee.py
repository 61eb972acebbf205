"""What Lightning trains: a classifier with its loss, its figures and its optimiser.

Knows no files, no hardware and not where batches come from.
"""

from typing import Any, Protocol, cast, runtime_checkable

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.bundles import Classifier
from harmonic.pixels import PixelSpec
from harmonic.training.balance import Balance
from harmonic.training.mixing import mixing
from harmonic.training.optimisation import optimiser, parameter_groups, running_mean, schedule, turned_groups
from harmonic.training.recipe import Recipe
from harmonic.training.teacher import Teacher
from harmonic.training.thawing import Thawing, forget_gradients, freeze


@runtime_checkable
class OwnTraining(Protocol):
    """A network that knows its own loss and which of its parameters decay."""

    def loss(self, images: Tensor, labels: Tensor, weight_decay: float) -> tuple[Tensor, Tensor]:
        """The loss of normalised images, and their logits."""

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters by weight decay, for the optimiser."""


class Trainee(L.LightningModule):
    """A classifier with its loss, metrics and optimiser, as the recipe says. Batches: uint8 NHWC images, int64
    labels."""

    loss_weights: Tensor | None
    hit_weights: Tensor | None

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        spec: PixelSpec,
        balance: Balance,
        classes: int,
        *,
        finetuned: bool = False,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self._teacher = recipe, teacher
        self._mix = mixing(recipe.augment, classes)
        self._thawing = Thawing(network, recipe.finetune) if finetuned else None
        self._frozen: list[nn.Module] = []  # in the epoch at hand
        self._steps = 0
        self.model = Classifier(network, spec)
        self.mean = running_mean(self.model, recipe.train.ema) if recipe.train.ema else None
        self.register_buffer("loss_weights", balance.loss, persistent=False)
        self.register_buffer("hit_weights", balance.hits, persistent=False)

    @property
    def judged(self) -> Classifier:
        """The classifier that is validated and kept: the running mean of the weights where there is one."""
        return cast(Classifier, self.mean.module) if self.mean else self.model

    def on_train_epoch_start(self) -> None:
        """Norms that do not learn in this epoch keep their statistics."""
        self.model.train()
        self._frozen = self._thawing.frozen(self.current_epoch) if self._thawing else []
        freeze(self._frozen)
        self._steps = self.trainer.global_step

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """What does not learn in this epoch loses its gradients; several devices have shared them by now."""
        forget_gradients(self._frozen)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Draw dropout from (epoch, batch) alone: what a resumed run drew before, loaders included, must not matter."""
        key = (self.recipe.train.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> dict[str, Tensor]:
        pixels, labels = batch
        loss, logits = self._loss(pixels, labels)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        figures = {"train_loss": loss, "train_accuracy": accuracy}
        self.log_dict(figures, on_epoch=True, on_step=False, sync_dist=True, batch_size=len(labels))
        return {"loss": loss, "accuracy": accuracy}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The running mean follows the steps."""
        if self.mean and self.trainer.global_step != self._steps:
            self.mean.update_parameters(self.model)
        self._steps = self.trainer.global_step

    def _loss(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the logits of a batch, mixed if the recipe says so; a network may bring a loss of its own."""
        network = self.model.network
        if isinstance(network, OwnTraining):
            return network.loss(self.model.normalised(pixels), labels, self.recipe.train.weight_decay)
        wanted = labels
        if self._mix:
            pixels, wanted = self._mix(pixels, labels)
        logits: Tensor = self.model(pixels)
        smoothing = self.recipe.train.label_smoothing
        loss = F.cross_entropy(logits, wanted, self.loss_weights, label_smoothing=smoothing)
        return (self._teacher.loss(pixels, logits, loss) if self._teacher else loss), logits

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        pixels, labels = batch
        logits = self.judged(pixels)
        hits = (logits.argmax(1) == labels).float()
        # Weighted by class, the mean over all validation images is the balanced accuracy.
        hits = hits if self.hit_weights is None else hits * self.hit_weights[labels]
        figures = {"val_loss": F.cross_entropy(logits, labels), "val_accuracy": hits.mean()}
        self.log_dict(figures, on_epoch=True, sync_dist=True, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        section, network = self.recipe.train, self.model.network
        if isinstance(network, OwnTraining):
            groups = network.parameter_groups(section.weight_decay)
        elif self._thawing:
            groups = self._thawing.groups(section)
        elif section.optimiser == "muon":
            groups = turned_groups(self.model, section)
        else:
            groups = parameter_groups(self.model, section.weight_decay, section.decay_norms)
        steps = optimiser(section, groups)
        rates = schedule(section, steps, int(self.trainer.estimated_stepping_batches))
        return [steps], [{"scheduler": rates, "interval": "step"}]
