"""The settings of this process: environment and flags, read once, refused where they are impossible together."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from harmonic.errors import sentence
from service.config.fields import PREFIX
from service.config.kubernetes import injected
from service.config.plans import plan
from service.config.settings import Settings
from service.config.sizes import ON_CPU, ON_CUDA
from service.errors import RequestError, StartError


def read_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the environment, overridden by the flags that are not None.

    Raises StartError for a value that is wrong, and for a HARMONIC_SERVE_ variable that does not exist.
    """
    unknown = [
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
        and name.removeprefix(PREFIX).lower() not in Settings.model_fields
        and not injected(name, value)
    ]
    if unknown:
        raise StartError(
            f"unknown setting {', '.join(sorted(unknown))}. docs/settings.md lists them; unset it or correct its name."
        )
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        found = "" if name in {"keys", "store"} else f", not {problem['input']!r}"  # what stands there may be a key
        raise StartError(f"setting {sentence(error)}{found} ({PREFIX}{name.upper()})") from None
    except ValueError as error:  # a JSON setting that is no JSON
        raise StartError(f"{error}. It wants JSON, as in docs/settings.md.") from None
    # Of `auto` nobody knows yet where it ends: what suits neither device is refused here.
    on_cuda = settings.device.startswith("cuda")
    settings.policy(ON_CUDA if on_cuda else ON_CPU)
    for model in settings.policies:
        plan(settings, model, on_cuda=on_cuda)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise StartError("TLS wants both tls_cert and tls_key, or neither.")
    settings.owned_devices()
    try:
        settings.splits()
    except RequestError as error:
        raise StartError(error.message) from None
    _check_control(settings)
    return settings


def _check_control(settings: Settings) -> None:
    """Refuse to let everybody on a network load and unload models."""
    if settings.model_control != "explicit" or settings.private() or settings.keyring().allows("control"):
        return
    raise StartError(
        f"model_control is explicit and the service listens on {settings.host}: without an API key of the scope "
        "control, anybody who reaches it could unload its models. Make one: `harmonic key --name NAME --scope control`."
    )
