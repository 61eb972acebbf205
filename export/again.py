"""A published version once more, with other precisions laid beside its graph: for versions whose bundle is not at hand.

The version that is given stays as it is; what comes out is the next one, and its answers in float32 are the same.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from export.errors import ExportError
from export.manifest import MANIFEST, Manifest, Precision, check_files, read_manifest, sha256
from export.pipeline import Published
from export.quantize import MOST_DROP, Race, lay, material, speed
from export.repository import publishing

_BESIDE = ("config.pbtxt", "classes.txt")  # what Triton reads, where the model is new in the repository


@dataclass(frozen=True, slots=True)
class Again:
    """Which version, and what to lay beside it; the rest as in `pipeline.Order`."""

    source: Path
    repository: Path
    name: str
    precisions: tuple[Precision, ...]
    calibration: Sequence[Path]
    judges: Sequence[Path] = ()
    most_drop: float = MOST_DROP
    version: int | None = None
    race: Race = speed


def is_version(folder: Path) -> bool:
    """True for the folder of a version, rather than of a bundle."""
    return (folder / MANIFEST).is_file()


def export_again(order: Again, *, tell: Callable[[str], None] = lambda _: None) -> Published:
    """Publish the version with these precisions too; those it had of them are made anew.

    Raises ExportError where none of them keeps what it must: then nothing is published.
    """
    wanted = tuple(precision for precision in order.precisions if precision != "fp32")
    if not wanted:
        raise ExportError(f"{order.source} is a version already. Give --precision int8 or fp16 to lay one beside it.")
    given = read_manifest(order.source)
    check_files(order.source, given)
    images = material(order.calibration, order.judges, given.classes, given.pixels)
    stay = tuple(variant for variant in given.variants if variant.precision not in wanted)
    with publishing(order.repository, order.name, order.version) as (folder, version):
        for file in set[str]().union(given.files) - _only_of(given, wanted):
            shutil.copyfile(order.source / file, folder / file)
        laid, refused = lay(wanted, folder, images, tell, order.most_drop, order.race)
        if not laid:
            raise ExportError("; ".join(f"no {one.precision}: {one.reason}" for one in refused))
        manifest = given.model_copy(
            update={
                "name": order.name,
                "variants": (*stay, *laid),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
            }
        )
        (folder / MANIFEST).write_text(manifest.written() + "\n")
    _copy_beside(order.source.parent, order.repository / order.name)
    place = order.repository / order.name / str(version)
    return Published(place, version, manifest.parity, manifest.stem, manifest.variants, refused)


def _only_of(manifest: Manifest, precisions: Sequence[Precision]) -> set[str]:
    """Files that none but the variants of these precisions need."""
    theirs = [variant.files for variant in manifest.variants if variant.precision in precisions]
    others = [variant.files for variant in manifest.variants if variant.precision not in precisions]
    return set[str]().union(*theirs) - set[str]().union(*others)


def _copy_beside(source: Path, target: Path) -> None:
    for file in _BESIDE:
        if (source / file).is_file() and not (target / file).exists():
            shutil.copyfile(source / file, target / file)
