"""What ONNX Runtime is told about the devices: pure functions from settings to its provider options.

Names and values are those of ONNX Runtime's CUDA and TensorRT providers; it takes every one of them as text.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from service.runtime.device import Device

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
ConvSearch = Literal["heuristic", "exhaustive", "default"]
Arena = Literal["power-of-two", "as-requested"]
Provider = tuple[str, dict[str, str]]

_ARENAS: dict[Arena, str] = {"power-of-two": "kNextPowerOfTwo", "as-requested": "kSameAsRequested"}


@dataclass(frozen=True, slots=True)
class GpuOptions:
    """How CUDA sessions run; without meaning on the CPU.

    conv_search: how cuDNN's algorithm is chosen; "exhaustive" measures all of them for each new batch size.
    nhwc: convolutions with channels last. tf32: 10 bits of mantissa in convolutions and matrix products.
    padded: pad calls to a few batch sizes, each with a session of its own. graphs: record the calls of each batch size
    once and replay them. arena, memory_bytes: how memory grows, and up to
    where, for each session. tensorrt_cache: folder for TensorRT's engines; None leaves TensorRT out.
    """

    conv_search: ConvSearch = "heuristic"
    nhwc: bool = False
    tf32: bool = False
    padded: bool = True
    graphs: bool = False
    arena: Arena = "power-of-two"
    memory_bytes: int | None = None
    tensorrt_cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Which batches a graph will get: its input's name, the shape of one image, and the most images of a call."""

    input: str
    shape: tuple[int, ...]
    largest: int

    def of(self, images: int) -> str:
        """The shape of so many images, as TensorRT's options say it."""
        return f"{self.input}:{'x'.join(map(str, (images, *self.shape)))}"


def providers(
    device: Device, gpu: GpuOptions, stream: int | None = None, profile: Profile | None = None
) -> list[Provider]:
    """Providers in order of preference for one device.

    profile: what TensorRT builds its engine for; without one it builds again whenever a larger batch comes.
    stream: address of a CUDA stream that the calls go to, in place of one of ONNX Runtime's own.
    The CPU stands last beside CUDA too: ONNX Runtime keeps arithmetic on shapes there.
    """
    if device.on_cpu:
        return [(CPU, {})]
    ordinal = str(device.number)
    cuda = (CUDA, _cuda(ordinal, gpu) | _stream(stream))
    if gpu.tensorrt_cache is None:
        return [cuda, (CPU, {})]
    tensorrt = _tensorrt(ordinal, gpu, gpu.tensorrt_cache) | _stream(stream) | _shapes(profile)
    return [(TENSORRT, tensorrt), cuda, (CPU, {})]


def for_precision(gpu: GpuOptions, precision: str) -> GpuOptions:
    """The options for a graph of one precision.

    ONNX Runtime's switch for TF32 is that of tensor cores for every type: off, half precision goes without them too.
    What float32 is left in such a graph loses nothing beside the rest: TF32 has as many bits of mantissa.
    """
    return replace(gpu, tf32=True) if precision == "fp16" else gpu


def wanted(device: Device, gpu: GpuOptions) -> str:
    """The provider that must be in force, or the service does not start."""
    return providers(device, gpu)[0][0]


def buckets(largest: int) -> tuple[int, ...]:
    """Batch sizes that calls are padded to: powers of two, and the largest; at most a half of a call is padding."""
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes) if largest == 1 else (*sizes, largest)


def _cuda(ordinal: str, gpu: GpuOptions) -> dict[str, str]:
    options = {
        "device_id": ordinal,
        "cudnn_conv_algo_search": gpu.conv_search.upper(),
        "prefer_nhwc": _flag(gpu.nhwc),
        "use_tf32": _flag(gpu.tf32),
        "enable_cuda_graph": _flag(gpu.graphs),
        "arena_extend_strategy": _ARENAS[gpu.arena],
    }
    return options if gpu.memory_bytes is None else {**options, "gpu_mem_limit": str(gpu.memory_bytes)}


def _tensorrt(ordinal: str, gpu: GpuOptions, cache: Path) -> dict[str, str]:
    return {
        "device_id": ordinal,
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
        "trt_cuda_graph_enable": str(gpu.graphs),
    }


def _shapes(profile: Profile | None) -> dict[str, str]:
    if profile is None:
        return {}
    sizes = {"min": 1, "opt": profile.largest, "max": profile.largest}
    return {f"trt_profile_{which}_shapes": profile.of(images) for which, images in sizes.items()}


def _stream(address: int | None) -> dict[str, str]:
    return {} if address is None else {"has_user_compute_stream": "1", "user_compute_stream": str(address)}


def _flag(value: bool) -> str:
    return "1" if value else "0"
