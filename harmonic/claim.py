"""Whose run a folder holds: the same recipe on the same images resumes it, anything else is refused."""

import json
from pathlib import Path

from pydantic import ValidationError

from harmonic.disk import renewed
from harmonic.errors import DataError, RecipeError
from harmonic.images import Images
from harmonic.recipe import Recipe

_RECIPE, _DATA = "recipe.json", "data.json"
_REMEDY = "Give another --out, or remove the folder."


def refuse_another_run(recipe: Recipe, images: Images, out: Path) -> None:
    """RecipeError or DataError if the folder holds a run of another recipe or on other images."""
    plan, data = out / _RECIPE, out / _DATA
    if plan.exists() and _stored(plan) != recipe:
        raise RecipeError(f"{out} holds a run of another recipe ({plan} differs). {_REMEDY}")
    if data.exists() and data.read_text() != _data_text(images):
        raise DataError(f"{out} holds a run on other images ({data} differs). {_REMEDY}")


def claim(recipe: Recipe, images: Images, out: Path) -> None:
    """Say whose run the folder holds from now on."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in ((_RECIPE, recipe.model_dump_json(indent=2) + "\n"), (_DATA, _data_text(images))):
        with renewed(out / name) as part:
            part.write_text(text)


def _stored(path: Path) -> Recipe | None:
    """The recipe of a run, as this build understands it; None if it does not."""
    try:
        return Recipe.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _data_text(images: Images) -> str:
    card = {"source": images.source, "images": len(images), "classes": images.classes}
    return json.dumps(card, indent=2, ensure_ascii=False) + "\n"
