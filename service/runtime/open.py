"""The backends of this service, and the one way to open a version with the one whose own it is.

The whole folded net runs on ONNX Runtime alone. The native stem needs PyTorch, which is loaded only if it is chosen.
"""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from export.manifest import Manifest, Variant
from service.runtime.backend import Backend, Opening, SessionError, backend, open_backend
from service.runtime.buckets import BucketSession
from service.runtime.choice import Running, adapts
from service.runtime.cuda_graphs import GraphSession
from service.runtime.placement import Placement
from service.runtime.providers import for_precision
from service.runtime.session import Session


def open_session(
    folder: Path, manifest: Manifest, variant: Variant, placement: Placement, largest: int, running: Running
) -> Backend:
    """Open a variant on one device. largest: images in one call. Raises SessionError, or StartError for the device."""
    placement = replace(placement, gpu=for_precision(placement.gpu, variant.precision))
    return open_backend(Opening(folder, manifest, variant, placement, largest, running))


def _is_graph(opening: Opening) -> bool:
    return opening.variant.file.endswith(".onnx")


def _is_whole(opening: Opening) -> bool:
    return _is_graph(opening) and opening.variant.stem is None


def _is_recorded(opening: Opening) -> bool:
    return opening.placement.gpu.graphs and not opening.placement.first.on_cpu


def _is_padded(opening: Opening) -> bool:
    gpu = opening.placement.gpu
    # TensorRT has one engine for all sizes.
    return gpu.padded and not opening.placement.first.on_cpu and not gpu.graphs and gpu.tensorrt_cache is None


def _is_plain(opening: Opening) -> bool:
    return _is_whole(opening) and not _is_recorded(opening) and not _is_padded(opening)


@backend("onnxruntime", takes=_is_plain)
def _open_whole(opening: Opening) -> Backend:
    return Session(opening.folder / opening.variant.file, opening.manifest, opening.placement, opening.largest)


@backend("onnxruntime in padded batches", takes=lambda opening: _is_whole(opening) and _is_padded(opening))
def _open_padded(opening: Opening) -> Backend:
    path = opening.folder / opening.variant.file
    return BucketSession(path, opening.manifest, opening.placement, opening.largest)


@backend("onnxruntime with CUDA graphs", takes=lambda opening: _is_whole(opening) and _is_recorded(opening))
def _open_recorded(opening: Opening) -> Backend:
    path = opening.folder / opening.variant.file
    return GraphSession(path, opening.manifest, opening.placement, opening.largest)


@backend("native stem", takes=lambda opening: _is_graph(opening) and opening.variant.stem is not None)
def _open_native(opening: Opening) -> Backend:
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise SessionError(
            f"{opening.folder}: its native stem runs in PyTorch, and {' and '.join(missing)} is not installed here "
            "(the CPU image has none). Install harmonic-inference[native] or take the GPU image, or serve the whole "
            "folded net with HARMONIC_SERVE_STEM=folded."
        )
    from service.runtime.native import NativeSession

    window = opening.running.adapt_images if adapts(opening.variant, opening.running) else 0
    placement = opening.placement
    plain = replace(placement, gpu=replace(placement.gpu, graphs=False))  # a recording would fix the stem's addresses
    return NativeSession(opening.folder, opening.manifest, opening.variant, plain, opening.largest, window)
