"""A card, a spectrum and a report beside a version, with traps for the page."""

import json
from pathlib import Path

from export.manifest import CARD, MANIFEST, REPORT, SPECTRUM, Manifest, sha256

MARKDOWN = """# colours

The *strongest* channel wins. `<script>` is **no** script here.

| measure | value |
|---|---|
| top-1 | 100 % |

* [a paper](https://example.org/paper)
* [a trap](javascript:document.title='trapped')

<img src=x onerror="document.title='trapped'"><script>document.title='trapped'</script>
"""
LAYERS = [
    {
        "layer": name,
        "kernel_size": [3, 3],
        "level": 2,
        "frequencies": [[0, 0], [0, 1], [1, 0]],
        "weight": [0.5, 0.3, 0.2],
        "energy": [0.1, 0.2, 0.7],
    }
    for name in ("root", "<b>layer</b>")
]


TRAP = "<img src=x onerror=\"document.title='trapped'\">"
FOUND = {
    "schema_version": 1,
    "source": TRAP,
    "judged_by": "3 x 5-fold cross-validation",
    "images": 60,
    "accuracy": {"value": 0.8, "low": 0.7, "high": 0.9},
    "balanced_accuracy": {"value": 0.75},
    "class_count": 3,
    "classes": [
        {"name": "red", "images": 30, "recall": 0.9, "precision": 0.85},
        {"name": TRAP, "images": 20, "recall": 0.5, "precision": 0.8},
        {"name": "blue", "images": 10},
    ],
    "confusion": [[27, 2, 1], [9.8, 10, 0.2], [0, 0, 10]],
    "confused": [{"true": TRAP, "answer": "red", "share": 0.49}],
    "calibration": [{"probability": 0.5, "right": 0.4, "images": 20}, {"probability": 0.9, "right": 1, "images": 40}],
    "thresholds": [{"probability": 0.6, "right": 0.9, "kept": 0.7}, {"probability": 0.9, "right": 1, "kept": 0.5}],
    "learning": [{"images": 12, "accuracy": 0.5}, {"images": 48, "accuracy": 0.8}],
    "remarks": [f"More images help, of {TRAP} above all."],
}


def add_documents(version: Path, card: str = MARKDOWN, layers: object = LAYERS, found: object = FOUND) -> None:
    """Lay a card, a spectrum and a report beside a version, as an export does."""
    _lay(version, {CARD: card, SPECTRUM: json.dumps(layers), REPORT: json.dumps(found)})


def add_report(version: Path, written: str) -> None:
    """Lay a report alone beside a version, whatever its file says."""
    _lay(version, {REPORT: written})


def _lay(version: Path, documents: dict[str, str]) -> None:
    for name, text in documents.items():
        (version / name).write_text(text, encoding="utf-8")
    manifest = Manifest.model_validate_json((version / MANIFEST).read_text())
    files = manifest.files | {name: sha256(version / name) for name in documents}
    (version / MANIFEST).write_text(manifest.model_copy(update={"files": files}).model_dump_json())
