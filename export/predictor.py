"""An exported version as a predictor, so that `harmonic evaluate` measures the graph that is served."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from export.manifest import MANIFEST, Manifest, check_files, read_manifest
from export.runtime import ort
from harmonic.pixels import PixelSpec

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


@dataclass(frozen=True)
class VersionPredictor:
    """A version's variant on ONNX Runtime; on CUDA where its provider is installed and the variant may run there."""

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
    """A predictor from a version's folder, `models/NAME/1` or `models/NAME/1:int8`; None for anything else.

    Raises ManifestError for a variant that the version has not.
    """
    folder, variant_name = Path(target), "default"
    if not (folder / MANIFEST).is_file():
        place, _, variant_name = target.rpartition(":")
        folder = Path(place)
        if not place or not (folder / MANIFEST).is_file():
            return None
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    variant = manifest.variant("default" if variant_name == "fp32" else variant_name)
    wanted = [_PROVIDERS[device] for device in ("cuda", "cpu") if device in variant.devices]
    providers = [provider for provider in wanted if provider in ort.get_available_providers()]
    return VersionPredictor(manifest, ort.InferenceSession(folder / variant.file, providers=providers))
