"""Training on Lightning: recipe and images in, run folder out (recipe, log, curves, checkpoint, bundle).

A killed run resumes from its last finished epoch when the same command is given again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from harmonic import bundle, zoo
from harmonic.balance import Balance, PriorCorrectable
from harmonic.checkpoint import Checkpoints
from harmonic.claim import claim, refuse_another_run
from harmonic.classifier import Classifier
from harmonic.curves import draw_curves
from harmonic.errors import DeviceError, RecipeError
from harmonic.evaluate import NetworkPredictor, evaluate
from harmonic.images import Images, check_all
from harmonic.loaders import Share, loaders, split
from harmonic.optimisation import optimiser, parameter_groups, running_mean, schedule
from harmonic.pixels import PixelSpec
from harmonic.progress import EpochBar
from harmonic.quiet import quiet_lightning
from harmonic.recipe import ModelSection, Recipe


@dataclass(frozen=True, slots=True)
class Where:
    """Hardware for a run: Lightning's accelerator and number of devices."""

    accelerator: str = "auto"
    devices: int | Literal["auto"] = "auto"


def train(
    recipe: Recipe,
    images: Images,
    out: Path,
    *,
    val: Images | None = None,
    test: Images | None = None,
    where: Where = Where(),
    start: bundle.Bundle | None = None,
) -> Path:
    """Train a classifier and return its bundle's folder, `out/bundle`.

    val: images that choose the best epoch; without them the recipe's share of the training images does.
    test: measured once, with the chosen epoch's weights.
    start: fine-tune its network, which replaces the recipe's, as does its input where the recipe names none.
    A finished run is returned as it is. RecipeError if `out` holds a run of another recipe, DataError if of other
    images or if their classes are not those of `start`; RunError if what it stored is damaged; DeviceError if the
    hardware that `where` asks for is not there.
    """
    if start:
        recipe, images = _continuing(recipe, start.card), images.labelled_as(start.card.classes)
    spec = _pixels(recipe)
    refuse_another_run(recipe, images, out)
    if (out / "bundle").exists():
        return out / "bundle"
    val, test = (part.labelled_as(images.classes) if part else None for part in (val, test))
    L.seed_everything(recipe.train.seed, verbose=False)
    network = zoo.create(recipe.model.architecture, len(images.classes), **recipe.model.arguments)
    if start:
        network.load_state_dict(start.model.state_dict())
    if recipe.data.balance != "none" and not isinstance(network, PriorCorrectable):
        raise RecipeError(f"{recipe.model.architecture} cannot be corrected for true class shares; drop data.balance.")
    if test:
        check_all(test, spec, title="Checking test images")
    learning, choosing = split(recipe, images, val)
    module = Trainee(recipe, network, spec, Balance.of(recipe, learning, choosing))
    with quiet_lightning():
        trainer, chosen = _trainer(module, recipe, out, where)
        batches = loaders(recipe, learning, choosing, spec, Share(trainer.global_rank, trainer.world_size))
        claim(recipe, images, out)
        _store_split(out / "split.json", learning, choosing, test)
        _fit(trainer, module, chosen, *batches)
    draw_curves(chosen.log_file, out / "curves.png", title=recipe.title)
    network.load_state_dict(chosen.weights())
    shares = np.bincount(learning.labels, minlength=len(images.classes)) / len(learning)
    if recipe.data.balance != "none" and isinstance(network, PriorCorrectable):
        network.correct_prior(torch.from_numpy(shares))
    measured = _measure(recipe, NetworkPredictor(network, images.classes, spec), test, shares)
    bundle.save(bundle.Bundle(_card(recipe, spec, images, chosen, measured), network), out / "bundle")
    return out / "bundle"


def _continuing(recipe: Recipe, card: bundle.Card) -> Recipe:
    """The recipe with the network and input of a bundle."""
    section = ModelSection(architecture=card.architecture, arguments=card.arguments)
    return recipe.model_copy(update={"model": section, "pixels": recipe.pixels or card.pixels})


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

    def __init__(self, recipe: Recipe, network: nn.Module, spec: PixelSpec, balance: Balance) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = Classifier(network, spec)
        self.mean = running_mean(self.model, recipe.train.ema) if recipe.train.ema else None
        self.register_buffer("loss_weights", balance.loss, persistent=False)
        self.register_buffer("hit_weights", balance.hits, persistent=False)

    @property
    def judged(self) -> Classifier:
        """The classifier that is validated and kept: the running mean of the weights where there is one."""
        return cast(Classifier, self.mean.module) if self.mean else self.model

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Draw dropout from (epoch, batch) alone: what a resumed run drew before, loaders included, must not matter."""
        key = (self.recipe.train.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> dict[str, Tensor]:
        pixels, labels = batch
        loss, logits = self._loss(pixels, labels)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        self.log_dict(
            {"train_loss": loss, "train_accuracy": accuracy}, on_epoch=True, on_step=False, batch_size=len(labels)
        )
        return {"loss": loss, "accuracy": accuracy}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The running mean follows."""
        if self.mean:
            self.mean.update_parameters(self.model)

    def _loss(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the logits of a batch; a network may bring a loss of its own."""
        network = self.model.network
        if isinstance(network, OwnTraining):
            return network.loss(self.model.normalised(pixels), labels, self.recipe.train.weight_decay)
        logits: Tensor = self.model(pixels)
        smoothing = self.recipe.train.label_smoothing
        return F.cross_entropy(logits, labels, self.loss_weights, label_smoothing=smoothing), logits

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
        else:
            groups = parameter_groups(self.model, section.weight_decay, section.decay_norms)
        chosen = optimiser(section, groups)
        rates = schedule(section, chosen, int(self.trainer.estimated_stepping_batches))
        return [chosen], [{"scheduler": rates, "interval": "step"}]


def _pixels(recipe: Recipe) -> PixelSpec:
    native = zoo.native_pixels(recipe.model.architecture)
    if recipe.pixels and recipe.pixels.channels != native.channels:
        raise RecipeError(
            f"{recipe.model.architecture} takes {native.mode} images, pixels.mode says {recipe.pixels.mode}. "
            "Grey and coloured files are read as either; set pixels.mode to what the architecture takes."
        )
    return recipe.pixels or native


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


def _trainer(module: Trainee, recipe: Recipe, out: Path, where: Where) -> tuple[L.Trainer, Checkpoints]:
    chosen = Checkpoints(module.judged.network, out, every=recipe.train.validate_every)
    try:
        trainer = L.Trainer(
            accelerator=where.accelerator,
            devices=where.devices,
            max_epochs=recipe.train.epochs,
            precision=_precision(recipe.train.precision, where),
            logger=TensorBoardLogger(str(out), name="", version="tensorboard"),
            callbacks=[chosen, EpochBar(chosen)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=recipe.train.validate_every,
            log_every_n_steps=1,
        )
    except (MisconfigurationException, ValueError) as error:
        raise DeviceError(
            f"{where.devices} x {where.accelerator!r} is not to be had here: {error} Try --accelerator cpu."
        ) from error
    return trainer, chosen


def _fit(
    trainer: L.Trainer,
    module: Trainee,
    chosen: Checkpoints,
    learning: DataLoader[Any],
    choosing: DataLoader[Any] | None,
) -> None:
    chosen.by_validation = choosing is not None
    trainer.fit(module, learning, choosing, ckpt_path=chosen.resumable(), weights_only=True)
    if not trainer.is_global_zero:
        raise SystemExit  # A helper process of a distributed run: the first one does the rest.


def _precision(wish: str, where: Where) -> Literal["32-true", "bf16-mixed"]:
    if wish == "auto":
        on_gpu = where.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        wish = "bf16" if (torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bf16_units()) else "fp32"
    return "bf16-mixed" if wish == "bf16" else "32-true"


def _cpu_has_bf16_units() -> bool:
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16", False) or found.get("avx512_bf16", False))


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
