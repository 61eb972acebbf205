"""What callers are told of a fault on the disk: a file as it is called in the repository, never its place."""

from pathlib import Path


def within(root: Path, reason: str) -> str:
    """A reason whose paths under the repository start at it: `cifar10/1/model.onnx`."""
    for form in sorted({str(root), str(root.absolute()), str(root.resolve())}, key=len, reverse=True):
        reason = reason.replace(f"{form}/", "").replace(form, "the repository") if len(form) > 1 else reason
    return reason
