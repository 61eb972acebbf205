"""A card and a spectrum beside a version, with traps for the page."""

import json
from pathlib import Path

from export.manifest import MANIFEST, Manifest, sha256
from service.engine import CARD, SPECTRUM

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


def add_documents(version: Path, card: str = MARKDOWN, layers: object = LAYERS) -> None:
    """Lay a card and a spectrum beside a version, as an export does."""
    (version / CARD).write_text(card, encoding="utf-8")
    (version / SPECTRUM).write_text(json.dumps(layers), encoding="utf-8")
    manifest = Manifest.model_validate_json((version / MANIFEST).read_text())
    files = manifest.files | {file: sha256(version / file) for file in (CARD, SPECTRUM)}
    (version / MANIFEST).write_text(manifest.model_copy(update={"files": files}).model_dump_json())
