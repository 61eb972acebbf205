"""The epochs of a run, by Lightning; a killed run goes on from its last finished epoch."""

import json
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger

from harmonic.data import Images
from harmonic.disk import renewed
from harmonic.errors import DeviceError
from harmonic.training.balance import Balance
from harmonic.training.best_epoch import BestEpoch
from harmonic.training.checkpoint import Checkpoints, WholeFiles
from harmonic.training.display import EpochBar
from harmonic.training.hardware import Machine, Where, on_gpu, trainer_options
from harmonic.training.loaders import loaders
from harmonic.training.quiet import quiet_lightning
from harmonic.training.run import Run
from harmonic.training.run_folder import claim
from harmonic.training.sharing import sharing
from harmonic.training.teacher import Teacher
from harmonic.training.trainee import Trainee


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the epochs left. checkpoints: the best epoch, its figures and weights. device: where the run trained."""

    checkpoints: Checkpoints
    device: torch.device


def fitted(run: Run, where: Where) -> Fitted:
    """Train a run's network, and claim its folder once every image was read.

    DeviceError if the hardware is not there, DataError for unreadable images, RunError for a damaged checkpoint.
    """
    module = Trainee(
        run.recipe,
        run.network,
        run.spec,
        Balance.of(run.recipe, run.training, run.validation),
        len(run.classes),
        finetuned=run.finetuned,
        teacher=Teacher(run.teacher, run.recipe.distil) if run.teacher else None,
    )
    plan, rule = run.recipe.train, BestEpoch.of(run.recipe, run.validation)
    checkpoints = Checkpoints(module.judged.network, run.out, rule, every=plan.validate_every, patience=plan.patience)
    machine = Machine.found()
    with quiet_lightning():
        trainer = _trainer(run, checkpoints, where, machine)
        busy = on_gpu(where, machine)
        with sharing(run.out, trainer.global_rank, trainer.world_size, busy=busy) as share:
            training, validation = loaders(run.recipe, run.training, run.validation, run.spec, share)
            if share.rank == 0:
                claim(run.recipe, run.given, run.out)
                _store_split(run.out / "split.json", run.training, run.validation, run.test)
            trainer.fit(module, training, validation, ckpt_path=checkpoints.resumable(), weights_only=True)
    if not trainer.is_global_zero:
        raise SystemExit  # A helper process of a distributed run: the first one does the rest.
    checkpoints.write_log()  # A run that was killed after its last checkpoint has no epoch left that would write it.
    return Fitted(checkpoints, trainer.strategy.root_device)


def _trainer(run: Run, checkpoints: Checkpoints, where: Where, machine: Machine) -> L.Trainer:
    plan = run.recipe.train
    try:
        return L.Trainer(
            **trainer_options(plan, where, machine),
            logger=TensorBoardLogger(str(run.out), name="", version="tensorboard"),
            callbacks=[checkpoints, EpochBar(checkpoints)],
            plugins=[WholeFiles()],
            sync_batchnorm=on_gpu(where, machine),  # Several GPUs share a batch; PyTorch cannot do so on CPUs.
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=plan.validate_every,
            log_every_n_steps=1,
        )
    except (MisconfigurationException, ValueError) as error:
        raise DeviceError(
            f"{where.devices} x {where.accelerator!r} is not to be had here: {error} Try --accelerator cpu."
        ) from error


def _store_split(path: Path, training: Images, validation: Images, test: Images | None) -> None:
    """Which image taught, which chose and which measured, by name, where images belong to groups."""
    if training.groups is None:
        return
    parts = {"train": training, "validation": validation, "test": test}
    names = {name: list(images.names) for name, images in parts.items() if images}
    with renewed(path) as part:
        part.write_text(json.dumps(names, indent=1) + "\n")
