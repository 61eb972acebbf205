"""Open a variant in the kind of session that it wants.

The whole folded net runs on ONNX Runtime alone. The native stem needs PyTorch, which is loaded only if it is chosen.
"""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from export.manifest import Manifest, Variant
from service.runtime.choice import Running, adapts
from service.runtime.cuda_graphs import GraphSession
from service.runtime.session import Placement, Session, SessionError


def open_session(
    folder: Path, manifest: Manifest, variant: Variant, placement: Placement, largest: int, running: Running
) -> Session:
    """Open a variant on one device. largest: images in one call. Raises SessionError, or StartError for the device."""
    if variant.stem is None:
        path = folder / variant.file
        if placement.gpu.graphs and not placement.first.on_cpu:
            return GraphSession(path, manifest, placement, largest)
        return Session(path, manifest, placement)
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise SessionError(
            f"{folder}: its native stem runs in PyTorch, and {' and '.join(missing)} is not installed here (the CPU "
            "image has none). Install harmonic-inference[native] or take the GPU image, or serve the whole folded net "
            "with HARMONIC_SERVE_STEM=folded."
        )
    from service.runtime.native import NativeSession

    window = running.adapt_images if adapts(variant, running) else 0
    plain = replace(placement, gpu=replace(placement.gpu, graphs=False))  # a recording would fix the stem's addresses
    return NativeSession(folder, manifest, variant, plain, window)
