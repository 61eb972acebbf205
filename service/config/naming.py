"""The names that an operator gives, held against the models that are there; and the repository's own default.

`<repository>/repository.toml`, beside the models, may name the model of `/v1/classify`; the setting `default_model`
wins.
"""

import logging
import tomllib
from collections.abc import Collection
from pathlib import Path

from service.config.settings import Settings
from service.errors import StartError

FILE = "repository.toml"
log = logging.getLogger(__name__)


def default_model(settings: Settings, names: Collection[str]) -> str | None:
    """The setting, else what the repository says and has. Raises StartError for a file that says something else."""
    if settings.default_model:
        return settings.default_model
    own = _own(settings.repository / FILE)
    if own is not None and own not in names:
        log.warning("%s names the model %r, which is not there", settings.repository / FILE, own)
        return None
    return own


def check_names(settings: Settings, names: Collection[str]) -> None:
    """Raise StartError if settings speak of models that are not there; where models may come later, say so."""
    if not names:
        log.warning("%s has no models; `harmonic export` puts one there", settings.repository)
    there = ", ".join(sorted(names)) or "none"
    default = [settings.default_model] if settings.default_model else []
    spoken = {"default_model": default, "policies": list(settings.policies)}
    for setting, models in spoken.items():
        if unknown := sorted(set(models) - set(names)):
            message = f"setting {setting} names {', '.join(unknown)}; {settings.repository} has {there}"
            if settings.model_control == "none":
                raise StartError(f"{message}. Correct the name, or unset it.")
            log.warning("%s", message)


def _own(path: Path) -> str | None:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StartError(f'{path}: {error}. It wants one line of TOML: default_model = "NAME".') from error
    name = found.pop("default_model", None)
    if found or not isinstance(name, str):
        raise StartError(f'{path}: it wants one line, default_model = "NAME", and nothing else.')
    return name
