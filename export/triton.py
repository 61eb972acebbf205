"""`config.pbtxt` and labels beside the versions, so that NVIDIA Triton serves the same folder."""

import json
import os
import tempfile
from pathlib import Path

from export.emit import INPUT, OUTPUT
from harmonic.bundles import Card

_LABELS = "classes.txt"


def write_config(model_dir: Path, name: str, card: Card, max_batch: int) -> None:
    """Write Triton's model configuration for the newest version; all versions of a model share it."""
    _replace(model_dir / _LABELS, "".join(f"{label}\n" for label in card.classes))
    _replace(model_dir / "config.pbtxt", _config(name, card, max_batch))


def _config(name: str, card: Card, max_batch: int) -> str:
    rows, columns, planes = card.pixels.shape
    kind = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}[card.pixels.dtype.name]
    return f"""name: {json.dumps(name)}
platform: "onnxruntime_onnx"
max_batch_size: {max_batch}
input [ {{ name: "{INPUT}" data_type: {kind} dims: [ {rows}, {columns}, {planes} ] }} ]
output [ {{ name: "{OUTPUT}" data_type: TYPE_FP32 dims: [ {len(card.classes)} ] label_filename: "{_LABELS}" }} ]
dynamic_batching {{ }}
"""


def _replace(path: Path, text: str) -> None:
    """Write beside and rename: a reader sees the old file or the new one."""
    descriptor, part = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(part).chmod(0o644)
    Path(part).replace(path)
