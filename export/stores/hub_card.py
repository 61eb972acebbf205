"""The model card of a repository on the Hugging Face hub: ours, with the metadata that the hub reads."""

import importlib
import re
from typing import Any

from export.manifest import Manifest

_MARK = "<!-- written by `harmonic push`: remove this line to keep your own text -->"
# Licences that the hub knows by these names; others are `other`, with a name of their own.
_LICENSES = re.compile(
    r"(apache-2\.0|mit|bsd(-[23]-clause(-clear)?)?|l?gpl-[23]\.[01]|agpl-3\.0|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|"
    r"mpl-2\.0|unlicense|isc|zlib|wtfpl|unknown)\Z"
)


def hub_card(name: str, manifest: Manifest, text: str) -> str:
    """The card as the hub wants it: metadata as YAML between two lines, then the text."""
    hub: Any = importlib.import_module("huggingface_hub")
    results = _results(hub, manifest)
    data = hub.ModelCardData(
        **_license(manifest.license),
        library_name="harmonic-inference",
        pipeline_tag="image-classification",
        tags=["harmonic", "image-classification", "onnx", manifest.architecture],
        metrics=["accuracy"] if results else None,
        model_name=name,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text.strip()}\n\n{_MARK}\n"


def is_ours(card: bytes) -> bool:
    """True for a card that may be written anew: ours, or the empty one of a new repository."""
    return _MARK.encode() in card or not card.strip()


def _license(named: str | None) -> dict[str, str]:
    if not named:
        return {}
    word = named.lower()
    if _LICENSES.match(word):
        return {"license": word}
    return {
        "license": "other",
        "license_name": re.sub(r"[^a-z0-9.]+", "-", word).strip("-")[:80] or "named-in-the-card",
    }


def _results(hub: Any, manifest: Manifest) -> list[Any]:
    """What was measured on test images, if anything was."""
    test = manifest.metrics.get("test")
    if not isinstance(test, dict) or not isinstance(test.get("top1"), int | float):
        return []
    source = str(test.get("source") or "test images")
    facts = {
        "task_type": "image-classification",
        "dataset_type": re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-") or "images",
        "dataset_name": source,
    }
    figures = {"top1": ("accuracy", "Top-1 accuracy"), "top5": ("top_5_accuracy", "Top-5 accuracy")}
    return [
        hub.EvalResult(**facts, metric_type=kind, metric_name=words, metric_value=float(test[key]))
        for key, (kind, words) in figures.items()
        if isinstance(test.get(key), int | float)
    ]
