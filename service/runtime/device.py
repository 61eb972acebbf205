"""Devices by name: "cpu", "cuda", "cuda:1", "cuda:0,cuda:1" and "auto" are read here, and nowhere else."""

import re
from dataclasses import dataclass
from typing import Literal

from service.errors import StartError

_MOST = 16  # devices of one service
DEVICES = rf"^(auto|cpu|cuda(:\d{{1,3}})?|cuda:\d{{1,3}}(,cuda:\d{{1,3}}){{1,{_MOST - 1}}})$"


@dataclass(frozen=True, slots=True)
class Device:
    """One device. number: which of its kind; the CPU is one."""

    kind: Literal["cpu", "cuda"]
    number: int = 0

    def __str__(self) -> str:
        return self.kind if self.on_cpu else f"{self.kind}:{self.number}"

    @property
    def on_cpu(self) -> bool:
        """True for the CPU."""
        return self.kind == "cpu"


CPU, FIRST_GPU = Device("cpu"), Device("cuda")


@dataclass(frozen=True, slots=True)
class Devices:
    """What was asked for: these devices, or the GPU if there is one that works and else the CPU."""

    each: tuple[Device, ...]
    auto: bool = False

    def __str__(self) -> str:
        return "auto" if self.auto else ",".join(map(str, self.each))


def read_devices(text: str) -> Devices:
    """Read the setting `device`. Raises StartError for what names no device."""
    if not re.fullmatch(DEVICES, text):
        raise StartError(f"device is {text[:100]!r}; it wants 'auto', 'cpu', 'cuda', 'cuda:1' or 'cuda:0,cuda:1'")
    if text == "auto":
        return Devices((FIRST_GPU,), auto=True)
    if text == "cpu":
        return Devices((CPU,))
    return Devices(tuple(Device("cuda", int(word.partition(":")[2] or 0)) for word in text.split(",")))
