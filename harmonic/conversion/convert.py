"""Any convolutional network becomes harmonic: exactly with the full band, the least-squares fit with fewer frequencies.

    >>> model = harmonise(torchvision.models.resnet50(), levels=(None, None, 3, 2))

Source: Ulicny, Krylov, Dahyot, "Harmonic Networks for Image Classification", BMVC 2019, section 3.3.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harmonic.conversion.planned import planned
from harmonic.conversion.plans import (
    EVERYTHING,
    LayerChoice,
    LayerPlan,
    Level,
    Levels,
    Select,
    choose,
    refusal,
    skipped,
)
from harmonic.conversion.projection import energy_kept, normalise_bands
from harmonic.errors import SpectrumError, first_line
from harmonic.graph import ImageSize, parameters
from harmonic.layers import (
    BandNormConv2d,
    Bank,
    HarmonicConv2d,
    SpectralConv2d,
    is_spectral,
    whole_layers,
)

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One converted layer. filters: kept of `of`. energy: share of the kernels' squared norm that the kept filters
    express; NaN where there were no weights to measure. Parameters count weights and bias."""

    name: str
    kernel_size: tuple[int, int]
    plan: LayerPlan
    filters: int
    of: int
    energy: float
    parameters_before: int
    parameters_after: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted network with its report. skipped: layers that stay as they are, with the reason."""

    model: nn.Module
    layers: tuple[LayerReport, ...]
    skipped: dict[str, str]

    @property
    def spectrum(self) -> dict[str, Any]:
        """The plan of every layer as JSON: what `zoo.create(..., spectrum=...)` takes to build the same network."""
        return {layer.name: layer.plan.as_json() for layer in self.layers}


def harmonise(
    model: nn.Module,
    *,
    levels: Levels = None,
    select: Select = "all",
    root_level: Level = None,
    norm_root: bool = False,
    bank: Bank | None = None,
    images: Iterable[Images] = (),
    size: ImageSize = (3, 224, 224),
    projected: bool = True,
) -> nn.Module:
    """A new network whose spatial convolutions are harmonic; the given one is unchanged.

    levels, select, root_level, norm_root, bank, size: as `LayerChoice`. images: batches as the network takes them, from
    which the root's inner norm takes its statistics (answers in evaluation stay; without any, the norm starts as the
    identity). projected: False gives the layers random weights, for a network still to be trained.
    Raises SpectrumError for choices that fit nothing.
    """
    choice = LayerChoice(levels=levels, select=select, root_level=root_level, norm_root=norm_root, bank=bank, size=size)
    return convert(model, choice, images=images, projected=projected).model


def convert(
    model: nn.Module, choice: LayerChoice = EVERYTHING, *, images: Iterable[Images] = (), projected: bool = True
) -> Conversion:
    """As `harmonise`, with a report of every layer."""
    plans = choose(model, choice)
    if not plans:
        reasons = "; ".join(dict.fromkeys(skipped(model, choice.bank).values()))
        raise SpectrumError(
            f"the network has no spatial convolution that can become harmonic{': ' + reasons if reasons else ''}."
        )
    batches = list(images)
    if batches:
        plans = {name: replace(plan, bias=plan.norm) for name, plan in plans.items()}
    converted = apply(copied(model), plans, projected=projected)
    if batches:
        _measure_norms(converted, [name for name, plan in plans.items() if plan.norm], batches)
    return Conversion(converted, tuple(_report(model, converted, plans)), skipped(model, choice.bank))


def apply(model: nn.Module, plans: Mapping[str, LayerPlan], *, projected: bool = True) -> nn.Module:
    """Carry plans out in the given network itself and return it; SpectrumError for a layer that cannot follow its plan.

    A layer that stands in several places is replaced in all of them by one. Layers that share one weight go on sharing
    it, and so must have one plan.
    """
    shared = _shared_weights(model)
    first: dict[int, nn.Module] = {}
    for name, plan in plans.items():
        old = _layer(model, name)
        names = shared.get(id(old.weight), [])
        if any(plans.get(other) != plan for other in names):
            raise SpectrumError(
                f"layers {', '.join(names)} share one weight; all of them become harmonic, alike, or none."
            )
        new = planned(name, old, plan, projected)
        if names:
            _spectral(new).weight = _spectral(first.setdefault(id(old.weight), new)).weight
        put(model, old, new)
    return model


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; SpectrumError for a network with weights that are computed, which PyTorch cannot copy."""
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        raise SpectrumError(
            "the network cannot be copied: a weight of it is computed and no parameter (a weight norm, for example). "
            f"Remove that first, with torch.nn.utils.remove_weight_norm(layer). PyTorch says: {first_line(error)}"
        ) from error


def _shared_weights(model: nn.Module) -> dict[int, list[str]]:
    """Names of the layers that have one weight between them, by that weight's identity."""
    owners: dict[int, list[str]] = {}
    for name, layer in model.named_modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter):
            owners.setdefault(id(weight), []).append(name)
    return {weight: names for weight, names in owners.items() if len(names) > 1}


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a layer of a network in another's place, in every place where that stands."""
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if module is old:
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, new)


def as_plain(model: nn.Module) -> nn.Module:
    """The inverse: a new network in evaluation mode with a plain convolution, of the same answers, for every spectral
    layer.

    Raises SpectrumError, naming the layer, for one without a plain form (a norm without running statistics), and for
    one that offers a plain form but is not registered.
    """
    plain = copied(model).eval()
    for name, layer in list(whole_layers(plain)):
        if not is_spectral(layer):
            _must_offer_nothing(name, layer)
            continue
        if not name:
            raise SpectrumError(f"{type(layer).__name__} is a layer, not a network: call its as_conv2d().")
        try:
            put(plain, layer, layer.as_conv2d())
        except SpectrumError as error:
            raise SpectrumError(f"layer {name}: {error}") from error
    return plain


def _must_offer_nothing(name: str, layer: nn.Module) -> None:
    kind = type(layer).__name__
    if hasattr(layer, "as_conv2d"):
        raise SpectrumError(
            f"layer {name}, a {kind}, has as_conv2d() and is not registered: put @spectral_layer() above class {kind}."
        )


def _layer(model: nn.Module, name: str) -> nn.Conv2d | SpectralConv2d:
    try:
        layer = model.get_submodule(name)
    except AttributeError as error:
        raise SpectrumError(f"the network has no layer {name!r}.") from error
    reason = refusal(layer)
    if not isinstance(layer, nn.Conv2d | SpectralConv2d) or reason:
        raise SpectrumError(
            f"layer {name} cannot become harmonic: {reason or type(layer).__name__ + ' is no convolution'}."
        )
    return layer


def _measure_norms(model: nn.Module, names: list[str], batches: list[Images]) -> None:
    for name in names:
        layer = model.get_submodule(name)
        if isinstance(layer, BandNormConv2d):
            normalise_bands(layer, *_band_statistics(model, layer, batches))


def _band_statistics(model: nn.Module, layer: BandNormConv2d, batches: list[Images]) -> tuple[Tensor, Tensor]:
    """Mean and variance of every band over all images and positions."""
    sums = torch.zeros(3, layer.norm.num_features, dtype=torch.float64)

    def collect(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        bands = layer.bands(inputs[0]).double().transpose(0, 1).flatten(1).cpu()
        sums.add_(torch.stack([torch.full((len(bands),), bands.shape[1]), bands.sum(1), bands.square().sum(1)]))

    was_training = model.training
    handle = layer.register_forward_pre_hook(collect)
    try:
        model.eval()
        with torch.no_grad():
            for batch in batches:
                model(batch)
    finally:
        handle.remove()
        model.train(was_training)
    count, total, squares = sums
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0) * count / (count - 1)


def _report(before: nn.Module, after: nn.Module, plans: Mapping[str, LayerPlan]) -> Iterable[LayerReport]:
    for name, plan in plans.items():
        old, new = _layer(before, name), _spectral(after.get_submodule(name))
        rows, columns = new.kernel_size
        yield LayerReport(
            name,
            (rows, columns),
            plan,
            len(new.frequencies),
            rows * columns,
            _energy(old, new),
            parameters(old),
            parameters(new),
        )


def _spectral(layer: nn.Module) -> SpectralConv2d:
    return next(inner for inner in layer.modules() if isinstance(inner, SpectralConv2d))


def _energy(old: nn.Conv2d | SpectralConv2d, new: SpectralConv2d) -> float:
    if old.weight.is_meta:
        return math.nan
    kernel = old.as_conv2d().weight if isinstance(old, HarmonicConv2d) else old.weight
    if isinstance(old, BandNormConv2d):  # Its bands are weighed by a norm, so its kernel changes with the statistics.
        kernel = copy.deepcopy(old).eval().as_conv2d().weight
    return energy_kept(kernel.detach().cpu(), new.bank.cpu())
