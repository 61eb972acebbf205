"""The original authors' released weights: downloaded once, resumed where they broke off, checked, kept.

Source of the files: release 0.1.0 of github.com/matej-ulicny/harmonic-networks, which states no licence for them.
"""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from harmonic.errors import DownloadError

_CHUNK = 1 << 16
_RELEASE = "https://github.com/matej-ulicny/harmonic-networks/releases/download/0.1.0/"
Watch = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Release:
    """A released file. file: its name, which ends with the start of its SHA-256; architecture, arguments: to import."""

    file: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it is."""
        return _RELEASE + self.file


RELEASES = {
    "harm_resnet50": Release("harm_resnet50-eec30392.pth", "harm_resnet50"),
    "harm_resnet101": Release("harm_resnet101-62e185b1.pth", "harm_resnet101"),
    "se_resnext101_32x4d": Release("se_resnext101_32x4d-3250bf17.pth", "se_resnext101_32x4d"),
    "harm_se_resnext101_32x4d": Release("harm_se_resnext101_32x4d-e5b7b14d.pth", "harm_se_resnext101_32x4d"),
    "harm_se_resnext101_64x4d": Release("harm_se_resnext101_64x4d-74a0d9f0.pth", "harm_se_resnext101_64x4d"),
}


def cache_folder() -> Path:
    """Where downloads are kept: $HARMONIC_CACHE, or `harmonic` in the user's cache folder."""
    own = os.environ.get("HARMONIC_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else base / "harmonic"


def download(
    address: str, folder: Path, *, watch: Watch | None = None, timeout_s: float = 30, attempts: int = 5
) -> Path:
    """Bring a file whose name holds the start of its SHA-256 (`name-1a2b3c4d.pth`) into a folder, and check it.

    A file that is there and right is not fetched again. A broken transfer is resumed, in this call up to `attempts`
    times without progress, or in the next from `<file>.part`. watch: told bytes done and in all, as far as known.
    Raises DownloadError when there is no network, the server refuses, or the content is not what the name says.
    """
    name = address.rsplit("/", 1)[-1]
    digest = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if digest is None:
        raise DownloadError(f"{name}: its name holds no start of a SHA-256, so its content cannot be checked.")
    target, part = folder / name, folder / f"{name}.part"
    if target.exists() and _sha256(target).startswith(digest[1]):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    _fetch(address, part, watch or _unwatched, timeout_s, attempts)
    found = _sha256(part)
    if not found.startswith(digest[1]):
        part.unlink()  # Resuming would keep the wrong bytes.
        raise DownloadError(f"{name}: its SHA-256 starts with {found[:8]}, not {digest[1]}: not the released file.")
    part.replace(target)
    return target


def _unwatched(_done: int, _total: int | None) -> None:
    """Nobody looks."""


def _fetch(address: str, part: Path, watch: Watch, timeout_s: float, attempts: int) -> None:
    """Transfer until the end, resuming; every attempt that brought something new gives all attempts back."""
    left = attempts
    while left > 0:
        before = _size(part)
        try:
            return _transfer(address, part, before, watch, timeout_s)
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # There is nothing after what we have: whole, or not this file at all.
                return None
            raise DownloadError(f"{address}: the server answered {error.code} {error.reason}.") from error
        except (OSError, HTTPException) as error:
            left = attempts if _size(part) > before else left - 1
            reason = getattr(error, "reason", None) or error or type(error).__name__
    raise DownloadError(
        f"{address} could not be reached ({reason}). Is there a network? "
        f"What came so far is kept in {part}; give the same command again to go on."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _transfer(address: str, part: Path, start: int, watch: Watch, timeout_s: float) -> None:
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - addresses are those of RELEASES
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        done = start if resumed else 0
        total = _total(answer, done)
        with part.open("ab" if resumed else "wb") as file:
            watch(done, total)
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                watch(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"broke off after {done:,} of {total:,} bytes")


def _total(answer: HTTPResponse, done: int) -> int | None:
    length = answer.headers.get("Content-Length")
    return done + int(length) if length and length.isdigit() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
