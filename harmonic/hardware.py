"""Which hardware a training run gets, and the arithmetic that suits it."""

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True, slots=True)
class Where:
    """Hardware for a run: Lightning's accelerator and number of devices."""

    accelerator: str = "auto"
    devices: int | Literal["auto"] = "auto"


def precision(wish: str, where: Where) -> Literal["32-true", "bf16-mixed"]:
    """Lightning's word for the precision that a recipe wishes for: "auto", "fp32" or "bf16"."""
    if wish == "auto":
        on_gpu = where.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        wish = "bf16" if (torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bf16_units()) else "fp32"
    return "bf16-mixed" if wish == "bf16" else "32-true"


def _cpu_has_bf16_units() -> bool:
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16", False) or found.get("avx512_bf16", False))
