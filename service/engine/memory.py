"""What versions take of this machine's main memory, and how it comes back when they are let go."""

import sys
from pathlib import Path

from export.manifest import Manifest
from service.decoding import trim
from service.engine.catalog import VersionFacts

_PAGE = 4096  # what Linux counts in where Python does not say


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * (resource.getpagesize() or _PAGE)


def graph_bytes(folder: Path, manifest: Manifest) -> int:
    """Of the largest file of a version's graph: less than this it never takes."""
    return max(
        ((folder / one.file).stat().st_size for one in manifest.variants if (folder / one.file).is_file()), default=0
    )


def taken_by(facts: VersionFacts, folder: Path, before: int) -> int:
    """What loading a version took. before: what was resident then. Other work of the process may blur it, so it is
    never said to be less than its weights."""
    give_back()  # what reading the graph took is not the version's
    return max(resident_bytes() - before, facts.instances * graph_bytes(folder, facts.manifest))


def give_back() -> None:
    """Return what is free to the system. From any thread."""
    trim()  # no cycle keeps a model in memory, so nothing is to be collected first
