"""An exported version as a predictor, so that `harmonic evaluate` measures the graph that is served."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from export.manifest import MANIFEST, Manifest, check_files, read_manifest
from export.runtime import ort
from harmonic.pixels import PixelSpec


@dataclass(frozen=True)
class VersionPredictor:
    """A version's default variant on ONNX Runtime; on CUDA where its provider is installed."""

    manifest: Manifest
    session: ort.InferenceSession

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.classes

    @property
    def pixels(self) -> PixelSpec:
        return self.manifest.pixels

    def __call__(self, images: Num[ndarray, "n h w c"]) -> Float[ndarray, "n classes"]:
        logits = np.asarray(
            self.session.run([self.manifest.output], {self.manifest.input: images})[0], dtype=np.float64
        )
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def version_predictor(target: str) -> VersionPredictor | None:
    """A predictor from a version's folder; None if the target is something else."""
    folder = Path(target)
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in ort.get_available_providers()]
    return VersionPredictor(manifest, ort.InferenceSession(folder / manifest.variant().file, providers=providers))
