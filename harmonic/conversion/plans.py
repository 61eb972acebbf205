"""Which layers of a network become harmonic, and at which level: choices in, one plan a layer out. Changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import nn

from harmonic.errors import SpectrumError
from harmonic.graph import Call, ImageSize, is_spatial, root, stages, trace
from harmonic.layers import BandNormConv2d, BandSet, Bank, SpectralConv2d, checked_level, waves, whole_layers

Level = int | None
Levels = Level | Sequence[Level] | Mapping[str, Level]
Select = Literal["all", "root"] | Sequence[str]
_SAME_PADDED = {("timm.layers.conv2d_same", "Conv2dSame"), ("timm.layers.conv2d_same", "Conv2dSameExport")}


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """What one layer becomes.

    level, bank: as `filter_bank`; bank None keeps a harmonic layer's own and gives a plain one the DCT. norm: with an
    inner norm. bias: add one where there was none. bands: weigh these alone, of the bands that the level keeps.
    """

    level: Level = None
    norm: bool = False
    bias: bool = False
    bank: Bank | None = None
    bands: BandSet | None = None

    def as_json(self) -> Any:
        """The level alone where nothing else is said."""
        if not self.norm and not self.bias and not self.bank and not self.bands:
            return self.level
        said: dict[str, Any] = {"level": self.level, "norm": self.norm, "bias": self.bias}
        said |= {"bank": self.bank} if self.bank else {}
        return said | ({"bands": self.bands.as_json()} if self.bands else {})


def plan_from_json(name: str, value: Any) -> LayerPlan:
    """Read what `as_json` wrote; SpectrumError, naming the layer, for anything else."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return LayerPlan(value)
    parts = {field.name for field in fields(LayerPlan)}
    if not isinstance(value, Mapping) or not parts.issuperset(value):
        raise SpectrumError(
            f"the plan of layer {name} must be a level, null or {{level, norm, bias, bank, bands}}, not {value!r}."
        )
    try:
        bands = None if value.get("bands") is None else BandSet.from_json(value["bands"])
    except SpectrumError as error:
        raise SpectrumError(f"layer {name}: {error}") from error
    plan = LayerPlan(**{**value, "bands": bands})
    if not (isinstance(plan.norm, bool) and isinstance(plan.bias, bool)):
        raise SpectrumError(f"layer {name}: norm and bias are true or false.")
    return plan


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """Which layers become harmonic, and at which level; SpectrumError for a choice that contradicts itself.

    levels: one for all; one for each stage (spatial layers of one output size, largest first); or by name pattern
    (`fnmatch`, the last that fits wins, others keep their full band). select: "all" spatial convolutions, the "root"
    alone, or name patterns. root_level: the root's level where `levels` names no layers; None is its full band.
    norm_root: give the root an inner norm. bank: the filters, as `LayerPlan`; layers for which there are none are left
    out. size: channels, rows, columns of an image the network runs on.
    A level at or above a layer's full band means its full band.
    """

    levels: Levels = None
    select: Select = "all"
    root_level: Level = None
    norm_root: bool = False
    bank: Bank | None = None
    size: ImageSize = (3, 224, 224)

    def __post_init__(self) -> None:
        if isinstance(self.levels, Mapping) and self.root_level is not None:
            raise SpectrumError(
                "root_level goes with one level or with one for each stage; by name, name the root too."
            )

    @property
    def needs_root(self) -> bool:
        """Whether it says something of the first layer, or of stages, so that the network must run once."""
        named = self.levels is None or isinstance(self.levels, Mapping)
        return self.select == "root" or self.norm_root or self.root_level is not None or not named


EVERYTHING = LayerChoice()  # every layer, with its full band


def choose(model: nn.Module, choice: LayerChoice = EVERYTHING) -> dict[str, LayerPlan]:
    """The plan of every layer that shall become harmonic, by name, in the order of the network's modules.

    Raises SpectrumError for a choice that fits nothing.
    """
    candidates = {name: layer for name, layer in spatial_layers(model).items() if refusal(layer, choice.bank) is None}
    calls = trace(model, choice.size) if choice.needs_root else []
    root_name = root(calls).name if choice.needs_root else None
    chosen = _selected(candidates, choice.select, root_name)
    levels = _levels(choice, chosen, root_name, calls)
    return {
        name: LayerPlan(
            _clamped(levels[name], candidates[name]),
            norm=_normed(candidates[name], choice.norm_root and name == root_name),
            bank=choice.bank,
        )
        for name in chosen
    }


def spatial_layers(model: nn.Module) -> dict[str, nn.Conv2d | SpectralConv2d]:
    """Every spatial convolution by its first name, plain or harmonic."""
    return {
        name: layer
        for name, layer in whole_layers(model)
        if isinstance(layer, nn.Conv2d | SpectralConv2d) and is_spatial(layer)
    }


def harmonic_layers(model: nn.Module) -> dict[str, SpectralConv2d]:
    """Every harmonic layer by its first name."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, SpectralConv2d)}


def refusal(layer: nn.Module, bank: Bank | None = None) -> str | None:
    """Why a layer cannot become harmonic (in a bank), or None."""
    if bank and isinstance(layer, nn.Conv2d | SpectralConv2d) and (lack := _bank_refusal(layer, bank)):
        return lack
    if isinstance(layer, SpectralConv2d) or is_same_padded(layer):
        return None
    if type(layer) is not nn.Conv2d:
        return f"{type(layer).__name__} computes something else than a plain convolution with its weight"
    if layer.weight.is_complex():
        return "its weight is complex"
    if layer._forward_pre_hooks or layer._forward_hooks:
        return "hooks act on it (a weight norm, for example); remove them first"
    return None


def _bank_refusal(layer: nn.Conv2d | SpectralConv2d, bank: Bank) -> str | None:
    if isinstance(layer, BandNormConv2d) and layer.bank_kind != bank:
        return f"the statistics of its inner norm belong to its {layer.bank_kind} filters"
    try:
        for taps in layer.kernel_size:
            waves(bank, taps)
    except SpectrumError as error:
        return str(error).rstrip(".")
    return None


def skipped(model: nn.Module, bank: Bank | None = None) -> dict[str, str]:
    """Every layer with a spatial kernel that cannot become harmonic (in a bank), with the reason."""
    reasons = {name: refusal(layer, bank) for name, layer in spatial_layers(model).items()}
    others = {
        name: f"{type(layer).__name__} is no two-dimensional convolution"
        for name, layer in model.named_modules()
        if isinstance(layer, nn.modules.conv._ConvNd) and not isinstance(layer, nn.Conv2d)
    }
    return {name: reason for name, reason in reasons.items() if reason} | others


def is_same_padded(layer: nn.Module) -> bool:
    """Whether it is timm's convolution with TensorFlow's padding."""
    return (type(layer).__module__, type(layer).__name__) in _SAME_PADDED


def _selected(candidates: Mapping[str, Any], select: Select, root_name: str | None) -> list[str]:
    if select == "all":
        return list(candidates)
    if select == "root":
        if root_name is None or root_name not in candidates:
            raise SpectrumError(f"the root {root_name} cannot become harmonic.")
        return [root_name]
    if isinstance(select, str):
        raise SpectrumError(f"select is 'all', 'root' or a list of name patterns, not {select!r}.")
    for pattern in select:
        _must_fit(pattern, candidates)
    return [name for name in candidates if any(fnmatchcase(name, pattern) for pattern in select)]


def _levels(choice: LayerChoice, chosen: list[str], root_name: str | None, calls: list[Call]) -> dict[str, Level]:
    if isinstance(choice.levels, Mapping):
        return _by_pattern(chosen, choice.levels)
    if choice.levels is None or isinstance(choice.levels, int):
        wanted = dict.fromkeys(chosen, choice.levels)
    else:
        wanted = _by_stage(chosen, choice.levels, stages(calls))
    return wanted | ({root_name: choice.root_level} if root_name else {})


def _by_pattern(chosen: list[str], levels: Mapping[str, Level]) -> dict[str, Level]:
    for pattern in levels:
        _must_fit(pattern, chosen)
    return {
        name: next((level for pattern, level in reversed(list(levels.items())) if fnmatchcase(name, pattern)), None)
        for name in chosen
    }


def _by_stage(chosen: list[str], levels: Any, names: list[list[str]]) -> dict[str, Level]:
    if not isinstance(levels, Sequence) or isinstance(levels, str):
        raise SpectrumError(f"levels is a level, one for each stage, or a mapping from names, not {levels!r}.")
    if len(levels) != len(names):
        raise SpectrumError(f"{len(levels)} levels given, but the network has {len(names)} stages after its root.")
    wanted = {name: level for level, stage in zip(levels, names, strict=True) for name in stage}
    return {name: wanted.get(name) for name in chosen}


def _must_fit(pattern: str, names: Mapping[str, Any] | list[str]) -> None:
    if not any(fnmatchcase(name, pattern) for name in names):
        raise SpectrumError(
            f"no convolution that can become harmonic is called {pattern!r}. Some: {', '.join(list(names)[:5])}."
        )


def _clamped(level: Level, layer: nn.Conv2d | SpectralConv2d) -> Level:
    rows, columns = layer.kernel_size
    if isinstance(level, int) and not isinstance(level, bool) and level >= rows + columns - 1:
        return None
    checked_level(level, (rows, columns))
    return level


def _normed(layer: nn.Module, wanted: bool) -> bool:
    return wanted or isinstance(layer, BandNormConv2d)
