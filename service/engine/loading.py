"""From the repository to loaded versions: one serves only after its sums, its graph and its golden answers held.

A version that does not hold is kept with its reason, and the others serve.
"""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import Manifest, Variant, check_files, read_manifest
from export.repository import version_dir
from service.batching import BatchPolicy
from service.engine.catalog import BrokenVersion, OnDemand, VersionFacts, by_precision, trouble
from service.engine.reasons import within
from service.engine.sizing import open_side_by_side
from service.errors import DeviceLost, ServiceError, StartError
from service.runtime import AS_EXPORTED, Backend, Placement, Running, SessionError, adapts, choose, open_session, suits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that was loaded and tried, with what runs it; stays inside this room.

    sessions: one per instance. sample: one golden image, (1, height, width, channels). beside: other precisions of the
    same version.
    """

    facts: VersionFacts
    sessions: tuple[Backend, ...]
    sample: NDArray[Any] = field(compare=False, repr=False)
    beside: tuple["Loaded", ...] = ()

    def remarked(self, remark: str) -> "Loaded":
        """The same, with a remark in place of the one it had."""
        return replace(self, facts=replace(self.facts, remark=remark))


Trial = Loaded | BrokenVersion | OnDemand  # what became of loading a version, or that it waits for a request


def facts_of(trial: Trial) -> VersionFacts | BrokenVersion | OnDemand:
    """What others may know of it."""
    return trial.facts if isinstance(trial, Loaded) else trial


def trouble_of(trial: Trial) -> str:
    """What is wrong with it, or around it; empty for nothing."""
    return trouble(facts_of(trial))


def load_version(
    root: Path,
    name: str,
    version: int,
    placement: Placement,
    policy: BatchPolicy,
    instances: int | None = 1,
    running: Running = AS_EXPORTED,
) -> Trial:
    """Load and try one version: sums, graph, goldens, warm-up. instances: on each device; None to choose here."""
    folder = version_dir(root, name, version)
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        order = _Order(
            folder, name, version, manifest, placement, _bounded(policy, manifest.max_batch), instances, running
        )
        first, *others = choose(manifest, running, placement.first.kind)
        loaded = _load_or_whole(order, first)
        beside = (_load_or_whole(order, variant) for variant in others)
        return replace(loaded, beside=tuple(map(_named_by_precision, beside)))
    except StartError:
        raise
    except DeviceLost as error:
        return _broken(root, name, version, str(error), fatal=True)
    except (ExportError, ServiceError) as error:
        return _broken(root, name, version, str(error))
    except Exception as error:  # a graph may fail in any way; the other versions must not notice
        return _broken(root, name, version, f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class _Order:
    """A version that shall be loaded; the words are those of `load_version`."""

    folder: Path
    name: str
    version: int
    manifest: Manifest
    placement: Placement
    policy: BatchPolicy
    instances: int | None
    running: Running


def _load(order: _Order, variant: Variant) -> Loaded:
    """Load and try one variant. Raises whatever is wrong with it."""
    folder, manifest, placement, largest = order.folder, order.manifest, order.placement, order.policy.max_size
    if not suits(variant, placement):
        raise SessionError(f"{folder}: made for {', '.join(variant.devices)}, and this service runs on {placement}")
    moving = adapts(variant, order.running)

    def open_on(where: Placement) -> Backend:
        return open_session(folder, manifest, variant, where, largest, order.running)

    # Each session of a norm that follows the traffic would follow its own part of it.
    sessions = open_side_by_side(open_on, placement, order.instances or 1 if moving else order.instances)
    for session in sessions:
        session.warm_up((1, largest))
        sample = replay(folder, manifest, variant, session, largest)
        session.follow_traffic()
    facts = VersionFacts(
        order.name,
        order.version,
        manifest,
        order.policy,
        sessions[0].provider,
        str(placement),
        tuple(device.number for device in placement.devices if not device.on_cpu),
        len(sessions),
        variant.name,
        moving,
        size_bytes=sum((folder / name).stat().st_size for name in variant.files - {variant.goldens}),
    )
    _tell(facts, order.running)
    return Loaded(facts, sessions, sample)


def _load_or_whole(order: _Order, variant: Variant) -> Loaded:
    """What was chosen because it was measured to be faster leaves its place to the whole net in float32, if it does not
    hold here; a precision that somebody asked for does not."""
    asked_for = variant.precision != "fp32" and order.running.precisions
    if variant.measured is None or asked_for:
        return _load(order, variant)
    try:
        return _load(order, variant)
    except (StartError, DeviceLost):
        raise
    except Exception as error:  # a graph may fail in any way
        log.warning("%s version %d: fp32 answers, not %s: %s", order.name, order.version, variant.name, error)
        return _load(order, order.manifest.variant())


def _named_by_precision(loaded: Loaded) -> Loaded:
    facts = loaded.facts
    return replace(loaded, facts=replace(facts, name=by_precision(facts.name, facts.precision)))


def replay(folder: Path, manifest: Manifest, variant: Variant, session: Backend, largest: int) -> NDArray[Any]:
    """Hold a session against the golden answers, alone and in company. Raises SessionError beyond the tolerance.

    largest: images in one call; a device that is laid out for so many is not asked for more.
    Returns the first of the golden images, (1, height, width, channels).
    """
    images, wanted = _goldens(folder / variant.goldens, manifest)
    size = min(len(images), manifest.max_batch, largest, 32)
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


def _tell(facts: VersionFacts, running: Running) -> None:
    log.info(
        "%s version %d is ready on %s (%s), in batches of up to %d",
        facts.name,
        facts.version,
        facts.provider,
        facts.variant,
        facts.policy.max_size,
    )
    if facts.adaptive:
        log.warning(
            "%s version %d: its norm follows the last %d images", facts.name, facts.version, running.adapt_images
        )


def _broken(root: Path, name: str, version: int, reason: str, fatal: bool = False) -> BrokenVersion:
    log.error("%s version %d is left out: %s", name, version, reason)
    return BrokenVersion(name, version, within(root, reason), fatal)
