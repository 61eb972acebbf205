"""From the repository to ready models: a version serves only after its sums, its graph and its golden answers held.

Knows nothing of HTTP. A version that does not hold is kept with its reason, and the others serve.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import Manifest, Variant, check_files, read_manifest
from export.repository import version_dir
from service.batching import BatchPolicy
from service.engine.reasons import within
from service.errors import DeviceLost, ModelNotFound, NotReady, ServiceError, StartError
from service.runtime import AS_EXPORTED, Placement, Running, Session, SessionError, adapts, choose, open_session, suits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadyVersion:
    """A version that may be asked.

    sessions: one per instance. policy: with max_size bounded by the manifest's. sample: one golden image,
    (1, height, width, channels). adaptive: its norm follows the traffic, so an answer depends on earlier ones.
    remark: what an operator should know of it, such as that its folder changed for the worse.
    """

    name: str
    version: int
    manifest: Manifest
    sessions: tuple[Session, ...]
    policy: BatchPolicy
    placement: Placement
    variant: Variant
    sample: NDArray[Any] = field(compare=False, repr=False)
    adaptive: bool = False
    remark: str = ""

    @property
    def provider(self) -> str:
        """The provider that really runs, as ONNX Runtime says."""
        return self.sessions[0].provider


@dataclass(frozen=True, slots=True)
class BrokenVersion:
    """A version that is left out, and why. fatal: only a new process may find it sound."""

    name: str
    version: int
    reason: str
    fatal: bool = False


Entry = ReadyVersion | BrokenVersion


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the repository holds: every version is either ready or broken."""

    ready: tuple[ReadyVersion, ...]
    broken: tuple[BrokenVersion, ...]
    default: str | None  # the setting, or the only name
    advice: str = "put one into the repository with `harmonic export`"  # where there is no model at all

    def names(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted({entry.name for entry in self._entries()})

    def versions(self, name: str) -> list[Entry]:
        """A model's versions, ready or broken, ascending; empty if there is no such model."""
        return sorted((entry for entry in self._entries() if entry.name == name), key=lambda entry: entry.version)

    def find(self, name: str | None, version: int | None) -> ReadyVersion:
        """The version asked for; None means the default model, and the newest ready version.

        Raises ModelNotFound for what is not there, NotReady for what is there and broken.
        """
        if name is None:
            name = self.default or self._no_default()
        entries = self.versions(name)
        if not entries:
            raise ModelNotFound(f"there is no model {name!r}; GET /v1/models lists them")
        return _choose(name, version, entries)

    def _entries(self) -> list[Entry]:
        return [*self.ready, *self.broken]

    def _no_default(self) -> str:
        if not self.names():
            raise NotReady(f"no model is ready; {self.advice}")
        raise ModelNotFound(
            f"several models are served ({', '.join(self.names())}) and none is the default; "
            "name one: /v1/models/NAME/classify"
        )


def assemble(entries: Iterable[Entry], default_model: str | None) -> Catalog:
    """A catalog of these versions. default_model: the setting; None for the only model, if there is only one."""
    found = tuple(entries)
    names = {entry.name for entry in found}
    return Catalog(
        tuple(entry for entry in found if isinstance(entry, ReadyVersion)),
        tuple(entry for entry in found if isinstance(entry, BrokenVersion)),
        default_model or (names.pop() if len(names) == 1 else None),
    )


def load_version(
    root: Path,
    name: str,
    version: int,
    placement: Placement,
    policy: BatchPolicy,
    instances: int = 1,
    running: Running = AS_EXPORTED,
) -> Entry:
    """Load and try one version: sums, graph, goldens, warm-up. instances: on each device."""
    folder = version_dir(root, name, version)
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        variant = choose(manifest, running)
        if not suits(variant, placement):
            raise SessionError(
                f"{folder}: made for {', '.join(variant.devices)}, and this service runs on {placement.device}"
            )
        policy = _bounded(policy, manifest.max_batch)
        sessions = tuple(
            open_session(folder, manifest, variant, device, policy.max_size, running)
            for device in placement.each()
            for _ in range(instances)
        )
        for session in sessions:
            session.warm_up((1, policy.max_size), manifest)
            sample = replay(folder, manifest, variant, session)
            session.follow_traffic()
    except StartError:
        raise
    except DeviceLost as error:
        return _broken(root, name, version, str(error), fatal=True)
    except (ExportError, ServiceError) as error:
        return _broken(root, name, version, str(error))
    except Exception as error:  # a graph may fail in any way; the other versions must not notice
        return _broken(root, name, version, f"{type(error).__name__}: {error}")
    log.info(
        "%s version %d is ready on %s (%s), in batches of up to %d",
        name,
        version,
        sessions[0].provider,
        variant.name,
        policy.max_size,
    )
    if adapts(variant, running):
        log.warning("%s version %d: its norm follows the last %d images", name, version, running.adapt_images)
    moving = adapts(variant, running)
    return ReadyVersion(name, version, manifest, sessions, policy, placement, variant, sample, moving)


def replay(folder: Path, manifest: Manifest, variant: Variant, session: Session) -> NDArray[Any]:
    """Hold a session against the golden answers, alone and in company. Raises SessionError beyond the tolerance.

    Returns the first of the golden images, (1, height, width, channels).
    """
    images, wanted = _goldens(folder / variant.goldens, manifest)
    size = min(len(images), manifest.max_batch, 32)
    for step in {1, size}:
        count = 1 if step == 1 else len(images)
        found = np.concatenate([session.run(images[start : start + step]) for start in range(0, count, step)])
        error = float(np.abs(found - wanted[:count]).max())
        if not error <= variant.tolerance:  # so that NaN is refused too
            raise SessionError(
                f"{folder}: its golden answers differ by {error:.3g} in batches of {step}; its manifest allows "
                f"{variant.tolerance:g}. Export the version again on this kind of device."
            )
    return images[:1].copy()


def _goldens(path: Path, manifest: Manifest) -> tuple[NDArray[Any], NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as archive:
        missing = {"images", "logits"} - set(archive.files)
        if missing:
            raise SessionError(f"{path}: has no {sorted(missing)}. Export the version again.")
        images, logits = archive["images"], archive["logits"]
    shape = (len(images), *manifest.pixels.shape)
    if (
        images.dtype != manifest.pixels.dtype
        or not len(images)
        or images.shape != shape
        or logits.shape != (len(images), len(manifest.classes))
    ):
        raise SessionError(
            f"{path}: images {images.dtype} {images.shape} and logits {logits.shape} do not fit the manifest"
        )
    return images, logits


def _bounded(policy: BatchPolicy, largest: int) -> BatchPolicy:
    return replace(policy, max_size=min(policy.max_size, largest))


def _choose(name: str, version: int | None, entries: list[Entry]) -> ReadyVersion:
    ready = {entry.version: entry for entry in entries if isinstance(entry, ReadyVersion)}
    if version is None and ready:
        return ready[max(ready)]
    if version is not None and version in ready:
        return ready[version]
    if version is not None and version not in {entry.version for entry in entries}:
        raise ModelNotFound(f"model {name!r} has no version {version}; GET /v1/models/{name} lists them")
    which = f"model {name!r}" if version is None else f"version {version} of model {name!r}"
    raise NotReady(f"{which} is not ready; GET /v1/models/{name} says why")


def _broken(root: Path, name: str, version: int, reason: str, fatal: bool = False) -> BrokenVersion:
    log.error("%s version %d is left out: %s", name, version, reason)
    return BrokenVersion(name, version, within(root, reason), fatal)
