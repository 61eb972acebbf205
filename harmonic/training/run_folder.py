"""Whose run a folder holds: the same recipe on the same images resumes it, anything else is refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harmonic.data import Images, fingerprint
from harmonic.disk import renewed
from harmonic.errors import DataError, RecipeError
from harmonic.training.recipe import Recipe

_RECIPE, _DATA = "recipe.json", "data.json"
_REMEDY = "Give another --out, or remove the folder."


@dataclass(frozen=True, slots=True)
class Given:
    """The images that a run was given: for training, for validation and for the test."""

    images: Images
    validation: Images | None = None
    test: Images | None = None


def refuse_another_run(recipe: Recipe, given: Given, out: Path) -> None:
    """RecipeError or DataError if the folder holds a run of another recipe, or on other images or labels.

    A run that has not been tested yet may be given other images for that.
    """
    plan, data = out / _RECIPE, out / _DATA
    if plan.exists() and _understood(plan.read_bytes()) != _understood(recipe.model_dump_json().encode()):
        raise RecipeError(f"{out} holds a run of another recipe ({plan} differs). {_REMEDY}")
    if not data.exists():
        return
    before = _read(data)
    # What is quick to compare comes first: contents are read from the disk.
    if any(before.get(name) != value for part in (_shape, _contents) for name, value in part(given).items()):
        raise DataError(f"{out} holds a run on other images or other labels ({data} differs). {_REMEDY}")
    if given.test and (out / "bundle").exists() and before.get("test") != fingerprint(given.test):
        raise DataError(
            f"{out} holds a finished run that was tested on other images or labels. Measure its bundle on these with "
            f"`harmonic evaluate {out / 'bundle'}`, or give another --out."
        )


def claim(recipe: Recipe, given: Given, out: Path) -> None:
    """Say whose run the folder holds from now on."""
    test = {"test": fingerprint(given.test) if given.test else None}
    card = {**_shape(given), **_contents(given), **test}
    out.mkdir(parents=True, exist_ok=True)
    data = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    for name, text in ((_RECIPE, recipe.model_dump_json(indent=2) + "\n"), (_DATA, data)):
        with renewed(out / name) as part:
            part.write_text(text)


def _understood(written: bytes) -> Recipe | None:
    """A recipe as it is written, as this build understands it; None if it does not. JSON knows no tuples, for one."""
    try:
        return Recipe.model_validate_json(written)
    except ValidationError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """What was said of a run's images; nothing where it cannot be understood."""
    try:
        card = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


def _shape(given: Given) -> dict[str, Any]:
    images = given.images
    return {"source": images.source, "images": len(images), "classes": list(images.classes)}


def _contents(given: Given) -> dict[str, str | None]:
    return {
        "contents": fingerprint(given.images),
        "validation": fingerprint(given.validation) if given.validation else None,
    }
