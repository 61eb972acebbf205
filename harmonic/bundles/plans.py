"""What a bundle's card says of its network's layers, once some of them have been changed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harmonic.bundles.bundle import Bundle, Card
from harmonic.conversion import LayerPlan, plan_from_json, spatial_layers
from harmonic.layers import SpectralConv2d


def with_plans(start: Bundle, plans: Mapping[str, LayerPlan], metrics: dict[str, Any]) -> Card:
    """The card of a bundle after these plans were carried out on its network, by layer.

    A layer that was harmonic by an earlier plan keeps how it was made: its level and bands change, and its bank where
    the new plan names one. metrics: figures of the new network; the old ones hold no longer.
    """
    spectrum = dict(start.card.arguments.get("spectrum") or {})
    native = {name for name, layer in spatial_layers(start.model).items() if isinstance(layer, SpectralConv2d)}
    for name, plan in plans.items():
        known = plan_from_json(name, spectrum[name]) if name in native and name in spectrum else None
        here = replace(plan, bank=plan.bank or known.bank, norm=known.norm, bias=known.bias) if known else plan
        spectrum[name] = here.as_json()
    arguments = {**start.card.arguments, "spectrum": spectrum}
    return start.card.model_copy(update={"arguments": arguments, "metrics": metrics})
