"""Addresses of repositories that are no folder, such as `s3://bucket/prefix`. Loads no library, asks nobody."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from export.errors import StoreError

# What each kind of address is read with: a package of the extra `stores`.
KINDS = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "hf": "huggingface_hub",
    "https": "aiohttp",
    "http": "aiohttp",
    "memory": "fsspec",  # inside one process, for tests
}
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)\Z", re.DOTALL)
_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store's repository lies. kind: one of KINDS. place: what follows `://`, without a slash at its end."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind}://{self.place}"


def is_address(text: str) -> bool:
    """True for what names a store, right or wrong; False for a folder."""
    return _FORM.match(text) is not None


def read_address(text: str) -> Address:
    """Raises StoreError for an address that is of no known kind, or that has credentials in it; it repeats none."""
    found = _FORM.match(text)
    kind, place = (found[1].lower(), found[2].strip("/")) if found else ("", "")
    if kind not in KINDS or not place:
        raise StoreError(
            f"a repository's address wants the form {', '.join(f'{one}://...' for one in KINDS if one != 'memory')}; "
            "a folder has no '://'"
        )
    host = place.partition("/")[0]
    if re.search(r"[?#\s\x00-\x1f]", place) or (kind != "hf" and "@" in host) or "::" in place:
        raise StoreError(
            f"the address of a {kind} repository wants neither a name, a password, nor anything behind '?' or '#': "
            "credentials come from the environment, where its library looks for them"
        )
    if ".." in place.split("/"):
        raise StoreError(f"{kind}://{place}: an address has no '..'")
    if kind == "hf" and not _HUB.match(place):
        raise StoreError(f"hf://{place}: it wants hf://ORGANISATION/NAME, or hf://ORGANISATION/NAME@REVISION")
    return Address(kind, place)


def copy_folder(text: str) -> Path:
    """Where the copy of a store's repository lies if nobody says: in $HARMONIC_CACHE, else in the user's cache."""
    own, user = os.environ.get("HARMONIC_CACHE"), os.environ.get("XDG_CACHE_HOME")
    base = Path(own) if own else (Path(user) if user else Path("~/.cache").expanduser()) / "harmonic"
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", text.rstrip("/").rpartition("/")[2])[:40].strip(".-")
    return base / "repositories" / f"{words or 'copy'}-{hashlib.sha256(text.rstrip('/').encode()).hexdigest()[:12]}"
