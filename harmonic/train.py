"""Training on Lightning: recipe and images in, run folder out (recipe, log, curves, checkpoint, bundle).

A killed run resumes from its last finished epoch when the same command is given again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from harmonic import bundle, zoo
from harmonic.checkpoint import Checkpoints
from harmonic.classifier import Classifier
from harmonic.curves import draw_curves
from harmonic.data import Images
from harmonic.errors import RecipeError
from harmonic.evaluate import NetworkPredictor, evaluate
from harmonic.loaders import EpochSampler, class_weights, loaders, split
from harmonic.pixels import PixelSpec
from harmonic.progress import EpochBar
from harmonic.recipe import OneCycleSchedule, Recipe, TrainSection


@dataclass(frozen=True, slots=True)
class Where:
    """Hardware for a run: Lightning's accelerator and number of devices."""

    accelerator: str = "auto"
    devices: int | Literal["auto"] = "auto"


def train(recipe: Recipe, images: Images, out: Path, *, test: Images | None = None, where: Where = Where()) -> Path:
    """Train a classifier and return its bundle's folder, `out/bundle`.

    images: for training and, by the recipe's share, validation. test: measured once, with the chosen epoch's weights.
    A finished run is returned as it is. RecipeError if `out` holds a run of another recipe.
    """
    if (out / "bundle").exists():
        return out / "bundle"
    _claim(recipe, out)
    spec = recipe.pixels or zoo.native_pixels(recipe.model.architecture)
    L.seed_everything(recipe.train.seed, verbose=False)
    network = zoo.create(recipe.model.architecture, len(images.classes), **recipe.model.arguments)
    if recipe.data.balance != "none" and not isinstance(network, PriorCorrectable):
        raise RecipeError(f"{recipe.model.architecture} cannot be corrected for true class shares; drop data.balance.")
    learning, choosing = split(recipe, images)
    _store_split(out / "split.json", learning, choosing, test)
    module = Trainee(recipe, network, spec, Balance.of(recipe, learning, choosing))
    chosen = _fit(module, *loaders(recipe, learning, choosing, spec), out, recipe, where)
    network.load_state_dict(chosen.weights())
    shares = np.bincount(learning.labels, minlength=len(images.classes)) / len(learning)
    if recipe.data.balance != "none" and isinstance(network, PriorCorrectable):
        network.correct_prior(torch.from_numpy(shares))
    measured = _measure(recipe, NetworkPredictor(network, images.classes, spec), test, shares)
    bundle.save(bundle.Bundle(_card(recipe, spec, images, chosen, measured), network), out / "bundle")
    return out / "bundle"


@runtime_checkable
class PriorCorrectable(Protocol):
    """A network that can answer for other class shares than it was trained with."""

    def correct_prior(self, shares: Tensor) -> None:
        """Turn answers for equally frequent classes into answers for these shares."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Weights by class. loss: of a training image's loss; hits: of a validation image's right answer. None: all 1."""

    loss: Tensor | None = None
    hits: Tensor | None = None

    @classmethod
    def of(cls, recipe: Recipe, learning: Images, choosing: Images) -> "Balance":
        """What the recipe asks for."""
        if recipe.data.balance == "none":
            return cls()
        loss = torch.from_numpy(class_weights(learning)).float() if recipe.data.balance == "loss" else None
        return cls(loss, torch.from_numpy(class_weights(choosing)).float())


class Trainee(L.LightningModule):
    """A classifier with its loss, metrics and optimiser, as the recipe says. Batches: uint8 NHWC images, int64
    labels."""

    loss_weights: Tensor | None
    hit_weights: Tensor | None

    def __init__(self, recipe: Recipe, network: nn.Module, spec: PixelSpec, balance: Balance = Balance()) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = Classifier(network, spec)
        self.register_buffer("loss_weights", balance.loss, persistent=False)
        self.register_buffer("hit_weights", balance.hits, persistent=False)

    def on_train_epoch_start(self) -> None:
        """Draw dropout from the epoch, so that a resumed run continues as an unbroken one would."""
        torch.manual_seed(self.recipe.train.seed + 1_000_003 * (self.current_epoch + 1) + self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        pixels, labels = batch
        logits = self.model(pixels)
        loss = F.cross_entropy(logits, labels, self.loss_weights, label_smoothing=self.recipe.train.label_smoothing)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        self.log_dict(
            {"train_loss": loss, "train_accuracy": accuracy}, on_epoch=True, on_step=False, batch_size=len(labels)
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        pixels, labels = batch
        logits = self.model(pixels)
        hits = (logits.argmax(1) == labels).float()
        # Weighted by class, the mean over all validation images is the balanced accuracy.
        hits = hits if self.hit_weights is None else hits * self.hit_weights[labels]
        figures = {"val_loss": F.cross_entropy(logits, labels), "val_accuracy": hits.mean()}
        self.log_dict(figures, on_epoch=True, sync_dist=True, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        section = self.recipe.train
        optimiser = _optimiser(section, _parameter_groups(self.model, section.weight_decay, section.decay_norms))
        schedule = section.schedule
        if isinstance(schedule, OneCycleSchedule):
            steps = int(self.trainer.estimated_stepping_batches)
            cycle = torch.optim.lr_scheduler.OneCycleLR(
                optimiser,
                section.rate,
                total_steps=steps,
                pct_start=schedule.warmup,
                cycle_momentum=schedule.cycle_momentum,
            )
            return [optimiser], [{"scheduler": cycle, "interval": "step"}]
        return [optimiser], [
            torch.optim.lr_scheduler.MultiStepLR(optimiser, list(schedule.milestones), schedule.factor)
        ]


def _claim(recipe: Recipe, out: Path) -> None:
    """Take a folder for this recipe's run; one that holds a run of the same recipe is resumed."""
    path = out / "recipe.json"
    if path.exists() and _stored(path) != recipe:
        raise RecipeError(
            f"{out} holds a run of another recipe ({path} differs). Give another --out, or remove the folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(recipe.model_dump_json(indent=2) + "\n")


def _stored(path: Path) -> Recipe | None:
    """The recipe of a run, as this build understands it; None if it does not."""
    try:
        return Recipe.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _store_split(path: Path, learning: Images, choosing: Images, test: Images | None) -> None:
    """Which image taught, which chose and which measured, by name, where images belong to groups."""
    if learning.groups is None:
        return
    parts = {"train": learning, "validation": choosing, "test": test}
    path.write_text(json.dumps({name: list(part.names) for name, part in parts.items() if part}, indent=1) + "\n")


def _measure(
    recipe: Recipe, predictor: NetworkPredictor, test: Images | None, shares: Float[np.ndarray, " classes"]
) -> dict[str, Any]:
    balanced = recipe.data.balance != "none"
    figures: dict[str, Any] = {}
    if balanced:
        figures["class_shares"] = dict(zip(predictor.classes, shares.tolist(), strict=True))
    if test:
        measured = evaluate(predictor, test)
        figures["test"] = measured.summary()
        if balanced:
            figures["test_for_even_classes"] = measured.for_even_classes(shares).summary()
    return figures


def _fit(
    module: Trainee,
    learning: DataLoader[Any],
    choosing: DataLoader[Any] | None,
    out: Path,
    recipe: Recipe,
    where: Where,
) -> Checkpoints:
    chosen = Checkpoints(module.model.network, out, by_validation=choosing is not None)
    trainer = L.Trainer(
        accelerator=where.accelerator,
        devices=where.devices,
        max_epochs=recipe.train.epochs,
        precision=_precision(recipe.train.precision, where),
        logger=TensorBoardLogger(str(out), name="", version="tensorboard"),
        callbacks=[chosen, EpochBar()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    if isinstance(learning.sampler, EpochSampler):
        learning.sampler.rank, learning.sampler.world = trainer.global_rank, trainer.world_size
    trainer.fit(module, learning, choosing, ckpt_path=chosen.last if chosen.last.exists() else None, weights_only=True)
    draw_curves(chosen.log_file, out / "curves.png", title=recipe.title)
    return chosen


def _precision(wish: str, where: Where) -> Literal["32-true", "bf16-mixed"]:
    if wish == "auto":
        on_gpu = where.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        wish = "bf16" if (torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bf16_units()) else "fp32"
    return "bf16-mixed" if wish == "bf16" else "32-true"


def _cpu_has_bf16_units() -> bool:
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def _optimiser(section: TrainSection, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if section.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=section.rate)
    return torch.optim.SGD(groups, lr=section.rate, momentum=section.momentum, nesterov=section.nesterov)


def _parameter_groups(model: nn.Module, decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    weights = [p for p in model.parameters() if p.ndim > 1 or decay_norms]
    others = [p for p in model.parameters() if not (p.ndim > 1 or decay_norms)]
    return [{"params": weights, "weight_decay": decay}] + ([{"params": others, "weight_decay": 0.0}] if others else [])


def _card(recipe: Recipe, spec: PixelSpec, images: Images, chosen: Checkpoints, test: dict[str, Any]) -> bundle.Card:
    return bundle.Card(
        architecture=recipe.model.architecture,
        arguments=recipe.model.arguments,
        classes=images.classes,
        pixels=spec,
        recipe=recipe.model_dump(mode="json"),
        metrics={"trained_on": images.source, "epoch": chosen.epoch + 1, "validation": chosen.figures, **test},
        libraries=bundle.library_versions(),
        license=recipe.license,
        notice=recipe.notice,
    )
