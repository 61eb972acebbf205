"""Settings of how models run: devices, ONNX Runtime's options, the first layer. Part of the service's settings."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config.fields import Count, setting
from service.errors import StartError
from service.runtime import (
    DEVICES,
    PRECISIONS,
    Arena,
    ConvSearch,
    Devices,
    GpuOptions,
    Running,
    StemChoice,
    read_devices,
    usable_cpus,
    wants_gpu,
)

_MOST_WORKERS = 64  # that `auto` takes
_MOST_OWNERS = 64

_GPU, _RUNNING = GpuOptions(), Running()


class Accelerators(BaseSettings):
    """Where and how models run."""

    device: Annotated[str, Field(pattern=DEVICES)] = setting(
        "auto",
        "`cpu`, `cuda`, `cuda:N`, several as `cuda:0,cuda:1`, or `auto`: CUDA where a session really runs on it, else "
        "the CPU. Asked for CUDA and not running on it, the service does not start and says why: [GPUs](gpu.md).",
        flag=True,
    )
    workers: Annotated[str, Field(pattern=r"^(auto|[1-9][0-9]?)$")] = setting(
        "1",
        "Processes that take requests together behind one port; `auto` for one a CPU, and on GPUs for fewer, as "
        "each owner of the models has one too: [processes](processes.md).",
        flag=True,
    )
    pin_workers: bool = setting(
        True,
        "Each worker keeps to a CPU of its own, where there are as many workers as CPUs, models run on CPUs, and a "
        "call has one thread: [processes](processes.md#a-cpu-of-its-own).",
    )
    owner: Literal["auto", "always", "never"] = setting(
        "auto",
        "Whether processes of their own have the models, and the workers are front ends of these; `auto` where several "
        "workers serve models on GPUs, and where `owners` is given: [processes](processes.md#front-ends-and-an-owner).",
        flag=True,
    )
    owners: Annotated[int, Field(ge=1, le=_MOST_OWNERS)] | None = setting(
        None,
        "Processes that own the models, where any does: unset, one a device. Fewer share the devices among them, more "
        "share each device; each owner has a queue of its own: [processes](processes.md#several-owners).",
        flag=True,
        unset="one a device",
    )
    owner_death: Literal["replace", "end"] = setting(
        "replace",
        "What follows when an owner of the models dies: `replace` starts another, and without one that is left the "
        "service is not ready until then; `end` ends the service with status 2, for whoever starts it again.",
    )
    threads: Count | None = setting(
        None,
        "Threads of one model call on the CPU. The CPUs at hand are those of the process's affinity, lowered to the "
        "control group's quota.",
        flag=True,
        unset="CPUs at hand",
    )
    decode_threads: Count | None = setting(
        None, "Threads that decode images. There is one more, for small images alone.", unset="CPUs at hand"
    )
    instances: Annotated[int, Field(ge=1, le=64)] | None = setting(
        None,
        "Sessions of each version that run side by side, on each device, with `threads` each. Two on a GPU: one copies "
        "while the other computes. Unset, on the CPU, a model of which one thread does an image in a millisecond gets "
        "as many sessions of one thread as `threads` says, at most 4, and any other model one.",
        flag=True,
        unset="1, more for a light model; 2 on CUDA",
    )
    stem: StemChoice = setting(
        _RUNNING.stem,
        "First layer: `auto` as each version's manifest says, `folded`, or `native` in PyTorch. "
        "See [native stem](native-stem.md).",
        flag=True,
    )
    precision: Annotated[str, Field(pattern=PRECISIONS)] = setting(
        "auto",
        "`auto`: of each version's variants the one that its manifest says is fastest on this kind of device; int8 "
        "only where the processor multiplies bytes fast. Or which to load: `fp32`, `fp16`, `int8`, or `int8,fp32`; "
        "the first that a version has answers, and `NAME:fp32` asks for another: [precisions](export.md#serving-them).",
        flag=True,
    )
    adapt_images: Annotated[int, Field(ge=0, le=100_000)] = setting(
        _RUNNING.adapt_images,
        "Window of traffic, in images of each session, that an adaptive norm follows; 0 freezes every norm. Read "
        "[the danger](native-stem.md#a-norm-that-follows-the-traffic) first.",
    )
    conv_search: ConvSearch = setting(
        _GPU.conv_search,
        "CUDA: how cuDNN's convolution algorithm is chosen: `heuristic`, `exhaustive`, `default`. "
        "[GPUs](gpu.md#settings) says more of this and the next seven.",
    )
    nhwc: bool = setting(_GPU.nhwc, "CUDA: convolutions with channels last.")
    tf32: bool = setting(_GPU.tf32, "CUDA: convolutions and matrix products with 10 bits of mantissa.")
    pad_batches: bool = setting(
        _GPU.padded,
        "CUDA: pad calls to 1, 2, 4, ... images, each size with a session of its own; they cost memory, and save the "
        "plans that cuDNN makes for every new size.",
    )
    cuda_graphs: bool = setting(
        _GPU.graphs, "CUDA: record each batch size once and replay it; calls are padded to powers of two."
    )
    arena: Arena = setting(
        _GPU.arena,
        "CUDA: by how much a session's memory grows when it is short: `power-of-two` or `as-requested`.",
    )
    gpu_memory_bytes: Annotated[int, Field(ge=2**20)] | None = setting(
        _GPU.memory_bytes, "CUDA: most bytes of each session's arena.", unset="all"
    )
    tensorrt_cache: Path | None = setting(
        _GPU.tensorrt_cache,
        "Folder for TensorRT's engines; set, models run on TensorRT or the service does not start.",
    )

    def processes(self) -> int:
        """How many processes take requests."""
        if self.workers != "auto":
            return int(self.workers)
        if not wants_gpu(self.devices()):
            return min(usable_cpus(), _MOST_WORKERS)
        # Several that hold the models would share a GPU's memory and get in each other's way.
        return 1 if self.owner == "never" else max(1, min(usable_cpus() - self._owners(), _MOST_WORKERS))

    def has_owner(self) -> bool:
        """True where processes of their own have the models, and those that take requests have none."""
        if self.owner == "auto":
            return self.owners is not None or (self.processes() > 1 and wants_gpu(self.devices()))
        return self.owner == "always"

    def pins_workers(self) -> bool:
        """True where a worker that has these settings is to keep to one CPU, if there is one for each."""
        owned = self.owner == "always" or (self.owner == "auto" and self.owners is not None)
        return self.pin_workers and self.threads == 1 and not owned and not wants_gpu(self.devices())

    def owned_devices(self) -> tuple[str, ...]:
        """The setting `device` of each process that owns models; none where those that take requests have them.

        Raises StartError for owners that cannot have equally many devices, or that nobody wants.
        """
        names, owners = self.device.split(","), self._owners()
        if self.owner == "never" and self.owners:
            raise StartError(f"owners is {owners}, and owner is never: leave one of them out.")
        if not self.has_owner():
            return ()
        if max(owners, len(names)) % min(owners, len(names)):
            raise StartError(
                f"owners is {owners} for {len(names)} devices ({self.device}): some would have more than others. Take "
                "one owner a device, or one for every two or more of them, or several for each."
            )
        if owners <= len(names):
            return tuple(",".join(names[owner::owners]) for owner in range(owners))
        return tuple(names[owner % len(names)] for owner in range(owners))

    def _owners(self) -> int:
        return self.owners or self.device.count(",") + 1

    def devices(self) -> Devices:
        """The devices that were asked for."""
        return read_devices(self.device)

    def gpu(self) -> GpuOptions:
        """How CUDA sessions run."""
        return GpuOptions(
            conv_search=self.conv_search,
            nhwc=self.nhwc,
            tf32=self.tf32,
            padded=self.pad_batches,
            graphs=self.cuda_graphs,
            arena=self.arena,
            memory_bytes=self.gpu_memory_bytes,
            tensorrt_cache=self.tensorrt_cache,
        )
