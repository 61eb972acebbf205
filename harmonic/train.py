"""Training on Lightning: recipe and images in, run folder out (recipe, log, curves, checkpoint, bundle).

A killed run resumes from its last finished epoch when the same command is given again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
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
from harmonic.loaders import EpochSampler, loaders
from harmonic.pixels import PixelSpec
from harmonic.progress import EpochBar
from harmonic.recipe import OneCycleSchedule, Recipe


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
    spec = recipe.pixels or zoo.find(recipe.model.architecture).pixels
    L.seed_everything(recipe.train.seed, verbose=False)
    module = Trainee(recipe, zoo.create(recipe.model.architecture, len(images.classes), **recipe.model.arguments), spec)
    learning, choosing = loaders(recipe, images, spec)
    chosen = _fit(module, learning, choosing, out, recipe, where)
    module.model.network.load_state_dict(chosen.weights())
    predictor = NetworkPredictor(module.model.network, images.classes, spec)
    measured = {"test": evaluate(predictor, test).summary()} if test else {}
    card = _card(recipe, spec, images, chosen, measured)
    bundle.save(bundle.Bundle(card, module.model.network), out / "bundle")
    return out / "bundle"


class Trainee(L.LightningModule):
    """A classifier with its loss, metrics and optimiser, as the recipe says. Batches: uint8 NHWC images, int64
    labels."""

    def __init__(self, recipe: Recipe, network: nn.Module, spec: PixelSpec) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = Classifier(network, spec)

    def on_train_epoch_start(self) -> None:
        """Draw dropout from the epoch, so that a resumed run continues as an unbroken one would."""
        torch.manual_seed(self.recipe.train.seed + 1_000_003 * (self.current_epoch + 1) + self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        pixels, labels = batch
        logits = self.model(pixels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.train.label_smoothing)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        self.log_dict(
            {"train_loss": loss, "train_accuracy": accuracy}, on_epoch=True, on_step=False, batch_size=len(labels)
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        pixels, labels = batch
        logits = self.model(pixels)
        figures = {
            "val_loss": F.cross_entropy(logits, labels),
            "val_accuracy": (logits.argmax(1) == labels).float().mean(),
        }
        self.log_dict(figures, on_epoch=True, sync_dist=True, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        section = self.recipe.train
        optimiser = torch.optim.SGD(
            _parameter_groups(self.model, section.weight_decay, section.decay_norms),
            lr=section.rate,
            momentum=section.momentum,
            nesterov=section.nesterov,
        )
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
    text = recipe.model_dump_json(indent=2) + "\n"
    if path.exists() and path.read_text() != text:
        raise RecipeError(
            f"{out} holds a run of another recipe ({path} differs). Give another --out, or remove the folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


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
    )
