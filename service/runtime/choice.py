"""Which variant of a version runs, and whether its answers may depend on traffic."""

from dataclasses import dataclass
from typing import Literal

from export.manifest import NATIVE, Manifest, Variant

StemChoice = Literal["auto", "folded", "native"]


@dataclass(frozen=True, slots=True)
class Running:
    """stem: "auto" is as the version's manifest says. adapt_images: window of an adaptive norm; 0 freezes it."""

    stem: StemChoice = "auto"
    adapt_images: int = 0


AS_EXPORTED = Running()


def choose(manifest: Manifest, running: Running) -> Variant:
    """The variant that runs. Raises ManifestError where the native stem is asked for and there is none."""
    stem = manifest.stem if running.stem == "auto" else running.stem
    return manifest.variant(NATIVE if stem == "native" else "default")


def adapts(variant: Variant, running: Running) -> bool:
    """True if the answers depend on earlier traffic: both the export and the operator allow it."""
    return variant.stem is not None and variant.stem.norm == "adaptive" and running.adapt_images > 0
