"""Which hardware a training run gets, and the arithmetic that suits it."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from harmonic.bfloat16 import cpu_has_units, gpu_has_units
from harmonic.training.recipe import TrainSection


@dataclass(frozen=True, slots=True)
class Where:
    """Hardware for a run: Lightning's accelerator and number of devices."""

    accelerator: str = "auto"
    devices: int | Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine computes with. gpus: the compute capability of each. cpu_has_bf16: units for bfloat16."""

    gpus: tuple[tuple[int, int], ...] = ()
    cpu_has_bf16: bool = False

    @classmethod
    def found(cls) -> "Machine":
        """This one."""
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return cls(tuple(torch.cuda.get_device_capability(number) for number in range(gpus)), cpu_has_units())


def on_gpu(where: Where, machine: Machine) -> bool:
    """Whether a run with this wish trains on NVIDIA or AMD GPUs."""
    return where.accelerator in ("auto", "gpu", "cuda") and bool(machine.gpus)


def lightning_precision(wish: str, where: Where, machine: Machine) -> Literal["32-true", "bf16-mixed"]:
    """Lightning's word for the precision that a recipe wishes for: "auto", "fp32" or "bf16".

    "auto" is bfloat16 where the hardware that trains has units for it: all GPUs, since any of them may be taken.
    """
    if wish == "auto":
        units = gpu_has_units(min(machine.gpus)) if on_gpu(where, machine) else machine.cpu_has_bf16
        wish = "bf16" if units else "fp32"
    return "bf16-mixed" if wish == "bf16" else "32-true"


def trainer_options(plan: TrainSection, where: Where, machine: Machine) -> dict[str, Any]:
    """What Lightning's Trainer is told for any training of this plan: files, bars and summaries are our own."""
    return {
        "accelerator": where.accelerator,
        "devices": where.devices,
        "max_epochs": plan.epochs,
        "precision": lightning_precision(plan.precision, where, machine),
        "gradient_clip_val": plan.clip or None,
        "accumulate_grad_batches": plan.accumulate,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
