"""How the requests for a model that name no version are shared among its versions: a canary beside what serves.

A request's id decides, so that a retry with the same id is answered by the same version.
"""

import hashlib
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from service.errors import RequestError

_ONE = re.compile(r"\s*([^={};\s]{1,200})\s*=\s*\{([^{}]*)\}\s*")
_SHARE = re.compile(r"\s*(\d{1,9})\s*:\s*(\d*\.?\d+)\s*")
_NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """When a canary is taken out. errors: share of its requests that may fail beyond the incumbent's. latency: how many
    times the incumbent's mean it may take. seconds: the window looked at. requests: fewer in it prove nothing."""

    errors: float
    latency: float
    seconds: float
    requests: int


@dataclass(frozen=True, slots=True)
class Split:
    """The shares of a model's versions, ascending. out: versions that were taken out, and why."""

    model: str
    shares: tuple[tuple[int, float], ...]
    out: tuple[tuple[int, str], ...] = ()

    def incumbent(self, answering: Container[int]) -> int | None:
        """The version that the others are measured by, and that has their share when they do not answer."""
        out = dict(self.out)
        found = [(share, -version) for version, share in self.shares if version in answering and version not in out]
        return -max(found)[1] if found else None

    def version_for(self, request_id: str, answering: Container[int]) -> int | None:
        """Which version answers a request; None where none of them can. A version that is given a larger share keeps
        the requests that it had, where it is the newest."""
        place = _place(f"{self.model} {request_id}")
        chosen = self.shares[-1][0]
        for version, share in self.shares:
            place -= share
            if place < 0:
                chosen = version
                break
        fit = chosen in answering and chosen not in dict(self.out)
        return chosen if fit else self.incumbent(answering)

    def in_force(self, answering: Container[int]) -> dict[int, float]:
        """What share each version has now that some of them may not answer."""
        incumbent, out = self.incumbent(answering), dict(self.out)
        found = dict.fromkeys((version for version, _ in self.shares), 0.0)
        for version, share in self.shares:
            fit = version in answering and version not in out
            if (to := version if fit else incumbent) is not None:
                found[to] += share
        return found

    def without(self, version: int, reason: str) -> "Split":
        """The same with a version taken out."""
        return replace(self, out=(*self.out, (version, reason)))


def make_split(model: str, shares: Mapping[int, float]) -> Split:
    """A split of whole numbers and shares. Raises RequestError for what is none."""
    if not shares or min(shares) < 1 or any(not 0 < share <= 1 for share in shares.values()):
        raise RequestError(f"the split of {model[:100]!r} wants versions from 1, each with a share above 0 and up to 1")
    if abs(sum(shares.values()) - 1) > _NEARLY:
        raise RequestError(f"the shares of {model[:100]!r} come to {sum(shares.values()):g}; they have to come to 1")
    return Split(model, tuple(sorted(shares.items())))


def read_splits(text: str) -> dict[str, Split]:
    """Read `colours={2:0.9,3:0.1}`, several with semicolons between. Raises RequestError for anything else."""
    found: dict[str, Split] = {}
    for part in text.split(";"):
        one = _ONE.fullmatch(part)
        shares = [_SHARE.fullmatch(pair) for pair in one[2].split(",")] if one else [None]
        if one is None or None in shares or one[1] in found:
            raise RequestError(f"split is {text[:100]!r}; it wants each model once, as in 'colours={{2:0.9,3:0.1}}'")
        pairs = [(int(share[1]), float(share[2])) for share in shares if share]
        if len(dict(pairs)) < len(pairs):
            raise RequestError(f"split names a version of {one[1]!r} twice")
        found[one[1]] = make_split(one[1], dict(pairs))
    return found


def _place(text: str) -> float:
    """A number from 0 to below 1 that every process gives the same text, and evenly to all texts."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48
