"""The registry: one function per architecture, found by a name that may carry numbers.

Knows no architecture itself: families register beside their code, and a name taken twice raises.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from harmonic.conversion import apply, harmonic_layers, in_bank, plan_from_json, put
from harmonic.errors import HarmonicError, SpectrumError, ZooError, first_line
from harmonic.graph import joined_stages
from harmonic.layers import Bank
from harmonic.near import near, told
from harmonic.pixels import PixelSpec

_PARTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "depth": (r"\d+", int),
    "cardinality": (r"\d+", int),
    "base": (r"\d+", int),
    "width": (r"\d+(?:\.\d+)?", float),
    "name": (r"[a-z0-9_]+(?:\.[a-z0-9_]+)?", str),
}


_LARGEST = {"depth": 2000, "cardinality": 512, "base": 512, "width": 64}  # beyond those that anybody published


@dataclass(frozen=True, slots=True)
class Architecture:
    """A family of networks.

    template: the name, its numbers in braces: "harm_wrn{depth}_{width}". build: takes those numbers, `classes` and
    the arguments. pixels: the native input; native: that of a single name, where members differ.
    listed: names that lists show. stand_in: name and arguments of a small member, for tests.
    published: error in percent by listed name, as the papers print it.
    members: every name there is, for a family whose names are a hub's: asked for those that a typo may have meant.
    """

    template: str
    build: Callable[..., nn.Module]
    pixels: PixelSpec
    listed: tuple[str, ...]
    stand_in: tuple[str, dict[str, Any]]
    published: dict[str, str] = field(default_factory=dict)
    native: Callable[..., PixelSpec] | None = None
    members: Callable[[], Iterable[str]] | None = None

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").split("\n", 1)[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """What `create` takes besides `classes`, with defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if f"{{{p.name}}}" not in self.template and p.name != "classes"}

    def match(self, name: str) -> dict[str, Any] | None:
        """The numbers and words in a name of this family, or None."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{_PARTS[m[1]][0]})", re.escape(self.template))
        found = re.fullmatch(pattern, name)
        return {key: _PARTS[key][1](text) for key, text in found.groupdict().items()} if found else None


_FAMILIES: dict[str, Architecture] = {}


def register(
    template: str,
    *,
    pixels: PixelSpec,
    listed: tuple[str, ...],
    stand_in: str,
    stand_in_arguments: dict[str, Any] | None = None,
    published: dict[str, str] | None = None,
    native: Callable[..., PixelSpec] | None = None,
    members: Callable[[], Iterable[str]] | None = None,
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register the decorated builder under a name template; ZooError if the name is taken."""

    def decorate(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        taken = [other for other in _FAMILIES.values() if any(other.match(name) for name in (*listed, stand_in))]
        if template in _FAMILIES or taken:
            raise ZooError(f"the name {template!r} is taken.")
        _FAMILIES[template] = Architecture(
            template, build, pixels, listed, (stand_in, stand_in_arguments or {}), published or {}, native, members
        )
        return build

    return decorate


def families() -> list[Architecture]:
    """Every registered family, in order of registration."""
    return list(_FAMILIES.values())


def listed_names() -> list[str]:
    """The names that lists show; many more exist, since depth and width stand in the name."""
    return [name for family in _FAMILIES.values() for name in family.listed]


def find(name: str) -> Architecture:
    """The family that a name belongs to; ZooError, with the nearest names, if there is none."""
    for family in _FAMILIES.values():
        if isinstance(name, str) and family.match(name) is not None:
            return family
    raise ZooError(f"there is no architecture {name!r}. {_near(str(name))}`harmonic models` lists all.")


def _near(name: str) -> str:
    """Names of the hubs that are this one without the hub, else those of the zoo that are like it."""
    hubs = [member for family in families() if family.members for member in family.members()]
    same = (hub for hub in hubs if hub.rpartition("/")[2] == name.rpartition("/")[2])
    return told(same) or near(name, [*listed_names(), *hubs])


def native_pixels(name: str) -> PixelSpec:
    """The input that a network was made for."""
    family = find(name)
    return family.native(**(family.match(name) or {})) if family.native else family.pixels


def create(
    name: str,
    /,
    classes: int,
    *,
    bank: Bank | None = None,
    joined: Sequence[str] | None = None,
    spectrum: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> nn.Module:
    """Build an untrained network that maps normalised images (N, C, H, W) to logits (N, classes).

    bank: the filters of the architecture's own harmonic layers, as `filter_bank`; None is the DCT.
    joined: names of layers on whose feature maps the classifier is built, in place of the last one alone; the names of
    its other layers then begin with `backbone.body`.
    spectrum: makes layers of any network harmonic or gives harmonic ones another level: a level (None: the full band),
    or {level, norm, bias, bank}, by layer name, as `convert.Conversion.spectrum` says.
    Raises ZooError for an unknown name, arguments that the architecture does not take, or fewer than two classes, and
    SpectrumError for a spectrum that does not fit.
    """
    family = find(name)
    unknown = arguments.keys() - family.arguments.keys()
    if unknown:
        taken = sorted([*family.arguments, "bank", "joined", "spectrum"])
        raise ZooError(f"{name} does not take {sorted(unknown)}; it takes {taken}.")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise ZooError(f"classes must be a whole number from 2, not {classes!r}.")
    numbers = family.match(name) or {}
    for part, largest in _LARGEST.items():
        if numbers.get(part, 0) > largest:
            raise ZooError(f"{name}: a {part} of {numbers[part]} is too large to build; the largest is {largest}.")
    with _telling(name, arguments):
        model = family.build(**numbers, classes=classes, **arguments)
    if bank:
        with _telling(name, {"bank": bank}):
            _set_bank(model, bank, name)
    if joined:
        if isinstance(joined, str) or not all(isinstance(layer, str) for layer in joined):
            raise ZooError(f"joined is a list of layers by name, not {joined!r}.")
        with _telling(name, {"joined": joined}):
            pixels = native_pixels(name)
            model = joined_stages(model, classes, joined, size=(pixels.channels, pixels.height, pixels.width))
    if not spectrum:
        return model
    if not isinstance(spectrum, Mapping):
        raise SpectrumError(f"a spectrum is a level or plan for each layer by name, not {spectrum!r}.")
    plans = {layer: plan_from_json(layer, value) for layer, value in spectrum.items()}
    return apply(model, plans, projected=False)


@contextmanager
def _telling(name: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Say which arguments a network cannot be built with, whatever a builder, a hub's above all, raises for them."""
    try:
        yield
    except HarmonicError:
        raise
    except Exception as error:
        if not arguments:
            raise
        raise ZooError(f"{name} cannot be built with {dict(arguments)}: {first_line(error)}.") from error


def _set_bank(model: nn.Module, bank: Bank, name: str) -> None:
    layers = harmonic_layers(model).values()
    if not layers:
        raise ZooError(f"{name} has no harmonic layer of its own whose bank could be {bank}; see `spectrum`.")
    for layer in layers:
        put(model, layer, in_bank(layer, bank))
