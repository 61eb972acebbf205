"""What failed at a store, in words that give nothing away.

Libraries write addresses with signatures, tokens and names of keys into their errors. So none of their text is
repeated: only the kinds of errors, the codes of their answers, and what we make of them.
"""

import logging
import re
from collections.abc import Iterator

# Libraries that write signed addresses or headers into their log lines, some of them at `info`.
_TALKATIVE = (
    "aiobotocore",
    "aiohttp",
    "botocore",
    "fsspec",
    "gcsfs",
    "google",
    "httpcore",
    "httpx",
    "huggingface_hub",
    "s3fs",
    "urllib3",
)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}\Z")


def quiet_libraries() -> None:
    """Have the libraries of stores log nothing below a warning, whatever the level of the others."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def reason(error: BaseException) -> str:
    """Why a store's library failed: advice where the kind of error allows one, and the kinds themselves."""
    kinds = " from ".join(_kind(one) for one in _chain(error))
    if isinstance(error, PermissionError):
        return f"access is refused; which credentials does its library find? ({kinds})"
    if isinstance(error, TimeoutError):
        return f"no answer in time ({kinds})"
    return kinds


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those it came from, five at most."""
    one: BaseException | None = error
    for _ in range(5):
        if one is None:
            return
        yield one
        one = one.__cause__


def _kind(error: BaseException) -> str:
    """The error's class, with the code or status of the answer that it stands for."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    status = getattr(response, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
    found = str(code or status or "")
    return f"{type(error).__name__} {found}" if _CODE.match(found) else type(error).__name__
