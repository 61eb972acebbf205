"""What lies beside a version's graph for people: its model card, its spectrum, and the report of its judgement."""

from pathlib import Path

from export.manifest import CARD, REPORT, SPECTRUM
from export.repository import version_dir
from service.engine.catalog import Catalog, OnDemand, VersionFacts
from service.errors import DocumentNotFound

DOCUMENTS = {"card": CARD, "spectrum": SPECTRUM, "report": REPORT}  # by the last word of their routes
_WRITERS = {
    CARD: "`harmonic export` writes one",
    SPECTRUM: "`harmonic export` writes one",
    REPORT: "what `harmonic fit` or `harmonic train` made has one when it is exported",
}
_BYTES = 4 * 2**20  # a spectrum of a thousand layers has a tenth of it


def documented(catalog: Catalog, model: str, version: int) -> VersionFacts | OnDemand:
    """A version whose documents may be read, in memory or not. Raises NotReady, ModelNotFound."""
    waiting = (one for one in catalog.on_demand if (one.name, one.version) == (model, version))
    return next(waiting, None) or catalog.find(model, version)


def read_document(root: Path, facts: VersionFacts | OnDemand, file: str) -> bytes:
    """A file that the version's manifest promises. root: the repository. Blocking.

    Raises DocumentNotFound if the version brings no such file, or lost it.
    """
    place = f"{facts.name} version {facts.version}"
    if file not in facts.manifest.files:
        raise DocumentNotFound(f"{place} brings no {file}; {_WRITERS[file]}")
    try:
        with (version_dir(root, facts.model, facts.version) / file).open("rb") as stream:
            content = stream.read(_BYTES + 1)
    except OSError as error:
        raise DocumentNotFound(f"{place} had a {file} when it was loaded, and it cannot be read now") from error
    if len(content) > _BYTES:
        raise DocumentNotFound(f"{place}: {file} is larger than the {_BYTES:,} bytes that are shown")
    return content
