"""An exported version as a predictor, so that `harmonic evaluate` measures the graph that is served."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from export.errors import StoreAwayError, StoreError
from export.manifest import MANIFEST, Manifest, check_files, read_manifest
from export.repository import as_names, as_versions
from export.runtime import ort, session_options
from export.stores import fetch, is_address, open_store, read_address
from harmonic.pixels import PixelSpec

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_SERVICES = ("http://", "https://")
_FORM = "s3://BUCKET/PREFIX/NAME/VERSION"


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
    """A predictor from a version's folder, `models/NAME/1` or `models/NAME/1:int8`, or from a version in a store,
    `s3://BUCKET/PREFIX/NAME/1`; None for anything else, also for `http://`, which is a running service.

    Raises ManifestError for a variant that the version has not; for a store StoreError, StoreAwayError.
    """
    if is_address(target):
        return None if target.lower().startswith(_SERVICES) else _from_store(target)
    folder, variant_name = Path(target), "default"
    if not (folder / MANIFEST).is_file():
        place, _, variant_name = target.rpartition(":")
        folder = Path(place)
        if not place or not (folder / MANIFEST).is_file():
            return None
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    return _opened(folder, manifest, variant_name)


def _from_store(target: str) -> VersionPredictor:
    repository, _, place = target.rstrip("/").rpartition("/")
    repository, _, name = repository.rpartition("/")
    number, _, variant_name = place.partition(":")
    if repository.endswith((":", "/")) or not as_names([name]) or not as_versions([number]):
        raise StoreError(f"{target}: a version in a store wants the form {_FORM}.")
    store = open_store(read_address(repository))
    with tempfile.TemporaryDirectory(prefix="harmonic-") as folder:
        try:
            manifest = fetch(store, name, int(number), Path(folder), lambda _: None)
        except StoreAwayError:
            raise
        except StoreError as error:
            raise StoreError(f"{target}: {error}.") from error
        return _opened(Path(folder), manifest, variant_name or "default")


def _opened(folder: Path, manifest: Manifest, variant_name: str) -> VersionPredictor:
    variant = manifest.variant("default" if variant_name == "fp32" else variant_name)
    wanted = [_PROVIDERS[device] for device in ("cuda", "cpu") if device in variant.devices]
    providers = [provider for provider in wanted if provider in ort.get_available_providers()]
    return VersionPredictor(
        manifest, ort.InferenceSession(folder / variant.file, session_options(), providers=providers)
    )
