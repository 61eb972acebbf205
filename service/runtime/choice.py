"""Which variants of a version run, and whether their answers may depend on traffic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from export.errors import ManifestError
from export.manifest import NATIVE, DeviceKind, Manifest, Precision, Variant
from export.processor import multiplies_int8
from service.errors import StartError

StemChoice = Literal["auto", "folded", "native"]
PRECISIONS = r"^(auto|(fp32|fp16|int8)(,(fp32|fp16|int8)){0,2})$"


@dataclass(frozen=True, slots=True)
class Running:
    """stem: "auto" is as the version's manifest says. adapt_images: window of an adaptive norm; 0 freezes it.

    precisions: those to load, the first that a version has answers who asks for none; empty for the one that the
    manifest says is fastest on this kind of device.
    """

    stem: StemChoice = "auto"
    adapt_images: int = 0
    precisions: tuple[Precision, ...] = ()


AS_EXPORTED = Running()


def read_precisions(text: str) -> tuple[Precision, ...]:
    """Read the setting `precision`: empty for `auto`. Raises StartError for anything else."""
    words = [] if text == "auto" else text.split(",")
    if strangers := [word for word in words if word not in get_args(Precision)]:
        raise StartError(
            f"precision has {strangers[0][:40]!r}; it wants 'auto', or of fp32, fp16, int8, as 'int8,fp32'"
        )
    return tuple(precision for word in dict.fromkeys(words) for precision in get_args(Precision) if precision == word)


def choose(
    manifest: Manifest, running: Running, device: DeviceKind = "cpu", int8: bool | None = None
) -> tuple[Variant, ...]:
    """The variants that run, the one first that answers who asks for none.

    int8: whether the processor multiplies bytes fast; None to ask it. Raises ManifestError for a native stem or
    precisions that the version has not.
    """
    stem = manifest.stem if running.stem == "auto" else running.stem
    whole = manifest.variant(NATIVE if stem == "native" else "default")
    if not running.precisions:
        bytes_too = multiplies_int8() if int8 is None else int8
        return (_fastest(manifest, whole, device, [one for one in get_args(Precision) if bytes_too or one != "int8"]),)
    there = {variant.precision: variant for variant in manifest.variants if device in variant.devices}
    there["fp32"] = _fastest(manifest, whole, device, ["fp32"])
    found = tuple(there[one] for one in running.precisions if one in there)
    if not found:
        raise ManifestError(
            f"{manifest.name} has no {' and no '.join(running.precisions)} for this device ({device}); it has "
            f"{', '.join(variant.precision for variant in manifest.variants)}. Serve it with "
            "HARMONIC_SERVE_PRECISION=auto, or export it with --precision."
        )
    return found


def _fastest(manifest: Manifest, whole: Variant, device: DeviceKind, among: Sequence[Precision]) -> Variant:
    """What of these precisions was measured to be fastest on such a device; a stem in PyTorch stays, since somebody
    chose it."""
    if whole.stem is not None:
        return whole
    gains = {
        variant.measured.speedup: variant
        for variant in manifest.variants
        if variant.measured and variant.measured.device == device and variant.precision in among
    }
    best = max(gains, default=1.0)
    return gains[best] if best > 1 else whole


def adapts(variant: Variant, running: Running) -> bool:
    """True if the answers depend on earlier traffic: both the export and the operator allow it."""
    return variant.stem is not None and variant.stem.norm == "adaptive" and running.adapt_images > 0
