"""API keys: how one is made, how it is kept, how a presented one is recognised. Knows nothing of HTTP.

A key is 256 random bits, so its SHA-256 is enough to keep: a slow password hash protects secrets that can be guessed,
and this one cannot.
"""

import hashlib
import hmac
import secrets
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harmonic.errors import sentence
from service.errors import StartError

PREFIX = "hk_"  # so that scanners for leaked secrets, and people, can tell what it is
Scope = Literal["inference", "control"]


class Key(BaseModel):
    """What is kept of a key: never the key itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Whose it is.")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the key, hexadecimal.")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = ("inference",)
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    body_bytes: Annotated[int, Field(ge=1)] | None = None
    priority: Annotated[int, Field(ge=1, le=64, description="Most urgent level it may claim.")] | None = None


class Bucket:
    """A rate limit: a minute's requests may come at once, and each that went returns a minute's share later."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = self._left = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._seen = clock()

    def take(self) -> float:
        """Take one request: 0 if there was one left, else the seconds until there is."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._seen) * self._per_second)
        self._seen = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._per_second


class Holder:
    """A key in use, with its rate limit."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.bucket = Bucket(key.requests_per_minute) if key.requests_per_minute else None
        self.digest = bytes.fromhex(key.sha256)


class Keyring:
    """The keys of a service. Raises StartError for a name or a key that is there twice."""

    def __init__(self, keys: Sequence[Key]) -> None:
        for kind in ("name", "sha256"):
            seen = [getattr(key, kind) for key in keys]
            if twice := {value for value in seen if seen.count(value) > 1}:
                raise StartError(f"API keys with the same {kind}: {', '.join(sorted(twice))}. Each wants its own.")
        self._holders = [Holder(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._holders)

    def kept(self) -> tuple[Key, ...]:
        """What is kept of each key."""
        return tuple(holder.key for holder in self._holders)

    def holder(self, presented: bytes) -> Holder | None:
        """Whose key this is. Every key is compared, in constant time, whether one matched before or not."""
        digest = hashlib.sha256(presented).digest()
        found = None
        for holder in self._holders:
            if hmac.compare_digest(holder.digest, digest):
                found = holder
        return found

    def allows(self, scope: Scope) -> bool:
        """True if some key has the scope."""
        return any(scope in holder.key.scopes for holder in self._holders)


def make(name: str, scopes: Sequence[str]) -> tuple[str, Key]:
    """A new key, and what to keep of it. Raises ValidationError for a name or a scope that will not do."""
    secret = PREFIX + secrets.token_urlsafe(32)
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    return secret, Key.model_validate({"name": name, "sha256": sha256, "scopes": tuple(scopes)})


def entry(key: Key) -> str:
    """A key as it stands in a file of keys."""
    scopes = ", ".join(f'"{scope}"' for scope in key.scopes)
    return f'[[keys]]\nname = "{key.name}"\nsha256 = "{key.sha256}"\nscopes = [{scopes}]\n'


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: Annotated[tuple[Key, ...], Field(min_length=1)]


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a TOML file, at least one. Raises StartError; the message never repeats what the file holds."""
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).keys
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}. The setting keys_file wants a file that can be read.") from error
    except ValidationError as error:
        raise StartError(f"{path}: {sentence(error)}. `harmonic key` writes entries that fit.") from None
    except ValueError as error:
        raise StartError(f"{path}: is no TOML in UTF-8 ({type(error).__name__}).") from None
