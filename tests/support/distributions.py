"""Which distributions an extra of the project brings."""

from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def packages_of(*extras: str) -> set[str]:
    """Distributions that the project asks for with these extras, and what those ask for in turn."""
    wanted = [("harmonic-inference", extra) for extra in ("", *extras)]
    found: set[str] = set()
    while wanted:
        name, extra = wanted.pop()
        for line in requires(name) or ():
            requirement = Requirement(line)
            key = canonicalize_name(requirement.name)
            if key not in found and (not requirement.marker or requirement.marker.evaluate({"extra": extra})):
                found.add(key)
                wanted += [(key, inner) for inner in ("", *requirement.extras)]
    return found
