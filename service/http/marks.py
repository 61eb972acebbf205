"""What an answer says of itself beside its body."""

from service.engine import ReadyVersion

NORM = "Harmonic-Norm"


def marks(entry: ReadyVersion) -> dict[str, str]:
    """Headers of an answer: whether it depends on earlier traffic."""
    return {NORM: "adaptive"} if entry.adaptive else {}
