"""One ONNX Runtime session: where it runs, with how many threads, and the call itself.

Asked for a GPU, it runs on the GPU or raises: never a silent fall back to the CPU.
"""

from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.manifest import Manifest, Variant
from export.runtime import ort, session_options
from harmonic.errors import first_line
from service.errors import DeviceLost, ServiceError, StartError
from service.runtime import page_locked
from service.runtime.backend import SessionError
from service.runtime.cpus import usable_cpus
from service.runtime.device import CPU, Devices
from service.runtime.device_loss import is_device_lost
from service.runtime.diagnosis import Runtime, lacking, why_no_cuda
from service.runtime.placement import Placement
from service.runtime.providers import CUDA, TENSORRT, GpuOptions, Profile, providers

_NO_OPTIONS = GpuOptions()
_WHEELS = ("onnxruntime", "onnxruntime-gpu")


class Session:
    """An open graph. `run` blocks, computes without the interpreter lock, and may be called from any thread."""

    def __init__(self, path: Path, manifest: Manifest, placement: Placement, largest: int | None = None) -> None:
        """Open `path`, hold it against its manifest. Raises SessionError, or StartError where CUDA is not in force.

        largest: images in one call; None where nobody knows.
        """
        profile = None if largest is None else Profile(manifest.input, manifest.pixels.shape, largest)
        self._session = open_graph(path, placement, profile=profile)
        self.provider: str = self._session.get_providers()[0]
        self._input, self._outputs = manifest.input, [manifest.output]
        self._pixels, self._allocate = manifest.pixels, allocator(placement)
        kind = "tensor(uint8)" if manifest.pixels.dtype == np.uint8 else "tensor(float)"
        check_ends(self._session, path, (manifest.input, kind, manifest.pixels.shape), manifest.output)

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory for images, page-locked for a GPU."""
        return self._allocate(shape, dtype)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """images: (n, height, width, channels), of the manifest's dtype. Returns the logits, (n, classes).

        Raises DeviceLost where only a new process helps, and whatever else the runtime raises.
        """
        try:
            return self._answer(images)
        except Exception as error:
            if is_device_lost(error):
                raise DeviceLost(f"{self.provider} is lost to this process: {first_line(error)[:300]}") from error
            raise

    def _answer(self, images: NDArray[Any]) -> NDArray[np.float32]:
        (logits,) = self._session.run(self._outputs, {self._input: images})
        return np.asarray(logits, dtype=np.float32)

    def warm_up(self, batches: tuple[int, ...]) -> None:
        """Run batches of these sizes once, so that no caller pays for the first call."""
        for size in batches:
            self.run(np.zeros((size, *self._pixels.shape), self._pixels.dtype))

    def follow_traffic(self) -> None:
        """Called once the session was held against its goldens: from here on what adapts may adapt."""

    def reset(self) -> None:
        """Forget what was adapted."""


def open_graph(
    path: Path, placement: Placement, stream: int | None = None, profile: Profile | None = None
) -> ort.InferenceSession:
    """Open a graph on one device. stream: address of the CUDA stream that it shall use, None for its own.

    profile: which batches it will get.
    Raises SessionError, or StartError where the provider that was asked for is not in force.
    """
    try:
        session = ort.InferenceSession(
            path, _options(placement), providers=providers(placement.first, placement.gpu, stream, profile)
        )
    except Exception as error:  # ONNX Runtime raises a family of its own, without a common base
        if not placement.first.on_cpu and lacking(placement.devices, _runtime()):
            raise StartError(_not_in_force(placement)) from error
        raise SessionError(f"{path}: ONNX Runtime cannot open it ({first_line(error)[:300]})") from error
    if session.get_providers()[0] != placement.provider:
        raise StartError(_not_in_force(placement))
    return session


def check_ends(session: ort.InferenceSession, path: Path, taken: tuple[str, str, tuple[int, ...]], output: str) -> None:
    """Hold a graph's ends against its manifest. taken: name, type, and shape behind the batch. Raises SessionError."""
    name, kind, shape = taken
    wants = (name, kind, list(shape))
    found = [(node.name, node.type, list(node.shape[1:])) for node in session.get_inputs()]
    if found != [wants]:
        raise SessionError(f"{path}: its inputs are {found}, its manifest says {[wants]}. Export the version again.")
    outputs = [node.name for node in session.get_outputs()]
    if output not in outputs:
        raise SessionError(
            f"{path}: its outputs are {outputs}, its manifest says {output!r}. Export the version again."
        )


def allocator(placement: Placement) -> page_locked.Allocate:
    """Where memory for the images of one device comes from."""
    return partial(page_locked.empty, device=placement.first, library=_runtime().library)


def check_installation() -> None:
    """Raise StartError if two ONNX Runtime distributions are installed: they overwrite each other's files."""
    found = [name for name in _WHEELS if _installed(name)]
    if len(found) > 1:
        raise StartError(
            "both onnxruntime and onnxruntime-gpu are installed, and each overwrites files of the other. "
            "Uninstall both, then install harmonic-inference[cpu] or harmonic-inference[gpu]."
        )


def place(asked: Devices, threads: int | None, probe: Path | None, gpu: GpuOptions = _NO_OPTIONS) -> Placement:
    """Decide where sessions run.

    threads: of one call, None for the CPUs at hand. probe: a graph that `auto` opens on CUDA to see whether it really
    runs there; without one it takes the CPU.
    """
    count = threads or usable_cpus()
    on_cpu = Placement((CPU,), count)
    if asked.each[0].on_cpu:
        return on_cpu
    placement = Placement(asked.each, count, gpu)
    available = ort.get_available_providers()
    if placement.provider not in available:
        if asked.auto:
            return on_cpu
        raise StartError(_not_in_force(placement))
    ort.preload_dlls()  # the CUDA and cuDNN wheels lie beside ours, where the loader does not look
    if asked.auto and not (probe and _runs(probe, placement)):
        return on_cpu
    return placement


def wants_gpu(asked: Devices) -> bool:
    """True if a GPU was asked for, or may be had where any device will do; no session is opened to see."""
    if asked.each[0].on_cpu:
        return False
    return not asked.auto or lacking(asked.each, _runtime()) is None


def suits(variant: Variant, placement: Placement) -> bool:
    """True if a variant may run where sessions run."""
    return placement.first.kind in variant.devices


def _runs(path: Path, placement: Placement) -> bool:
    try:
        open_graph(path, placement)
    except ServiceError:  # a driver, a library or a device that is not there
        return False
    return True


def _options(placement: Placement) -> ort.SessionOptions:
    options = session_options()
    options.intra_op_num_threads = placement.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    for pool in ("intra_op", "inter_op"):
        # Idle threads must leave the CPUs to the decoders.
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    return options


def _not_in_force(placement: Placement) -> str:
    runtime = _runtime()
    if placement.gpu.tensorrt_cache is not None and not lacking(placement.devices, runtime):
        return (
            f"{placement} was asked for with {TENSORRT}, but ONNX Runtime {ort.__version__} could not start it. "
            "Install TensorRT's libraries, or leave tensorrt_cache unset."
        )
    return why_no_cuda(placement.devices, runtime)


def _runtime() -> Runtime:
    if CUDA not in ort.get_available_providers():
        return Runtime(ort.__version__, None)
    return Runtime(ort.__version__, str(getattr(ort, "cuda_version", "") or "13").partition(".")[0])


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
