"""Settings of how models run: devices, ONNX Runtime's options, the first layer. Part of the service's settings."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from service.runtime import Arena, ConvSearch, GpuOptions, Running, StemChoice

_GPU, _RUNNING = GpuOptions(), Running()


class Accelerators(BaseSettings):
    """Where and how models run."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,3})?|cuda:\d{1,3}(,cuda:\d{1,3}){1,15})$")] = Field(
        "auto",
        description="`cpu`, `cuda`, `cuda:N`, several as `cuda:0,cuda:1`, or `auto`: CUDA where a session really runs "
        "on it, else the CPU.",
    )
    threads: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Threads of one model call on the CPU; unset: the CPUs this process may use."
    )
    instances: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Sessions of each version that run side by side, on each device."
    )
    stem: StemChoice = Field(
        _RUNNING.stem, description="First layer: as each model's manifest says, or `folded`, or `native` (PyTorch)."
    )
    adapt_images: Annotated[int, Field(ge=0, le=100_000)] = Field(
        _RUNNING.adapt_images,
        description="Window of traffic, in images, that an adaptive norm follows; 0 freezes every norm.",
    )
    conv_search: ConvSearch = Field(
        _GPU.conv_search, description="CUDA: how cuDNN's convolution algorithm is chosen for a batch size."
    )
    nhwc: bool = Field(_GPU.nhwc, description="CUDA: convolutions with channels last.")
    tf32: bool = Field(_GPU.tf32, description="CUDA: convolutions and matrix products with 10 bits of mantissa.")
    cuda_graphs: bool = Field(
        _GPU.graphs, description="CUDA: record each batch size once and replay it; calls are padded to powers of two."
    )
    arena: Arena = Field(_GPU.arena, description="CUDA: by how much a session's memory grows when it is short.")
    gpu_memory_bytes: Annotated[int, Field(ge=2**20)] | None = Field(
        _GPU.memory_bytes, description="CUDA: most bytes of each session's arena; unset: all there is."
    )
    tensorrt_cache: Path | None = Field(
        _GPU.tensorrt_cache, description="Folder for TensorRT's engines; set, models run on TensorRT or not at all."
    )

    def gpu(self) -> GpuOptions:
        """How CUDA sessions run."""
        return GpuOptions(
            conv_search=self.conv_search,
            nhwc=self.nhwc,
            tf32=self.tf32,
            graphs=self.cuda_graphs,
            arena=self.arena,
            memory_bytes=self.gpu_memory_bytes,
            tensorrt_cache=self.tensorrt_cache,
        )
