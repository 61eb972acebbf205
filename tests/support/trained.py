"""Bundles of small networks whose cards have figures, as training writes them."""

from pathlib import Path
from typing import Any

from harmonic import zoo
from harmonic.bundles import bundle

CLASSES = ("a", "b", "c")


def saved(
    folder: Path,
    architecture: str,
    top1: float | None,
    *,
    data: str = "photographs test",
    seed: int = 1,
    title: str = "brief",
    rate: float = 0.1,
    **arguments: Any,
) -> Path:
    """A bundle, untrained, with this share of right answers on its card; None leaves the figures out."""
    recipe = {
        "title": title,
        "model": {"architecture": architecture, "arguments": arguments},
        "train": {"rate": rate, "seed": seed},
    }
    metrics = {"test": {"source": data, "images": 1000, "top1": top1}} if top1 is not None else {}
    card = bundle.Card(
        architecture=architecture,
        arguments=arguments,
        classes=CLASSES,
        pixels=zoo.native_pixels(architecture),
        recipe=recipe,
        metrics={"trained_on": data.replace("test", "train"), "validation": {}, **metrics},
    )
    bundle.save(bundle.Bundle(card, zoo.create(architecture, len(CLASSES), **arguments)), folder)
    return folder
