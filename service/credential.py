"""The API key with which this command line asks a service. It is never printed, and goes into one header only."""

import os
import re

from service.errors import RequestError

VARIABLE = "HARMONIC_API_KEY"


def authorization(key: str | None = None) -> dict[str, str]:
    """The header that carries a key: the one given, else the environment's, else none at all. Raises RequestError."""
    secret = (key if key is not None else os.environ.get(VARIABLE, "")).strip()
    if not secret:
        return {}
    if not re.fullmatch("[!-~]+", secret):
        raise RequestError(
            "the API key has a space, or a character that no key has. Give it as `harmonic key` showed it."
        )
    return {"Authorization": f"Bearer {secret}"}
