"""The weight that a network gives to each frequency in each layer: as figures and as a table.

A plain network is seen through its exact conversion. Source: Ulicny, Krylov, Dahyot, BMVC 2019, figure 3.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from rich.table import Column, Table
from torch import nn

from harmonic.conversion.plans import refusal
from harmonic.conversion.projection import harmonic_from
from harmonic.errors import SpectrumError
from harmonic.graph import is_spatial
from harmonic.layers import WithSpectrum, has_spectrum, is_spectral, whole_layers
from harmonic.shown import plain

Layer = dict[str, Any]


def spectrum(model: nn.Module) -> list[Layer]:
    """One entry for each spatial convolution, plain or harmonic, in the order of the network's modules.

    Each has `layer` (its name), `kernel_size` (rows, columns), `level` (null: full band), `frequencies` ([u, v], u
    along rows), and two shares for each frequency, which sum to 1: `weight` of the mean absolute coefficient, `energy`
    of the squared norm of the kernels. Layers that compute something else than a convolution are left out.
    """
    found = ((name, _harmonic(layer)) for name, layer in whole_layers(model))
    return [_entry(name, layer) for name, layer in found if layer is not None]


def spectrum_table(layers: Sequence[Layer]) -> Table:
    """Weight in percent by layer and by u + v, the diagonal of the frequency plane that a level cuts."""
    must_have(layers)
    diagonals = max(max(u + v for u, v in layer["frequencies"]) for layer in layers) + 1
    shown = min(diagonals, 7)
    title = "Weight of the frequencies u + v, in percent"
    table = Table(
        Column("layer", overflow="fold"),
        "filters",
        *(f"{d}" for d in range(shown)),
        *([f"{shown}+"] if diagonals > shown else []),
        title=title,
    )
    for layer in layers:
        shares = _by_diagonal(layer, diagonals)
        rest = [sum(shares[shown:])] if diagonals > shown else []
        rows, columns = layer["kernel_size"]
        filters = f"{len(layer['frequencies'])}/{rows * columns}"
        cells = (f"{100 * share:.1f}" if share else "-" for share in (*shares[:shown], *rest))
        table.add_row(plain(layer["layer"]), filters, *cells)
    return table


def _entry(name: str, layer: WithSpectrum) -> Layer:
    weight = layer.coefficients().detach().double().cpu().abs().mean(dim=(0, 1))
    kernel = layer.as_conv2d().weight.detach().double().cpu()
    bank = layer.bank.double().cpu().flatten(1)
    responses = (kernel.flatten(2) @ bank.T) / bank.norm(dim=1)
    energy = responses.square().sum(dim=(0, 1))
    return {
        "layer": name,
        "kernel_size": list(layer.kernel_size),
        "bank": layer.bank_kind,
        "level": layer.level,
        "frequencies": [list(pair) for pair in layer.frequencies],
        "weight": _shares(weight),
        "energy": _shares(energy),
    }


def _shares(values: torch.Tensor) -> list[float]:
    total = float(values.sum())
    return [float(value) / total if total else 0.0 for value in values]


def _harmonic(layer: nn.Module) -> WithSpectrum | None:
    """A layer that has a spectrum, or the harmonic form of a spatial convolution; None for any other layer."""
    if is_spectral(layer):
        layer = copy.deepcopy(layer).eval()  # what it computes in evaluation, whatever the mode of the network
        if has_spectrum(layer):
            return layer
        layer = layer.as_conv2d()
    if not isinstance(layer, nn.Conv2d) or not is_spatial(layer) or refusal(layer) is not None:
        return None
    # The padding may depend on the image's size, which says nothing about the kernel.
    bare = copy.copy(layer)
    bare.padding, bare.padding_mode = (0, 0), "zeros"
    return harmonic_from(bare)


def _by_diagonal(layer: Layer, diagonals: int) -> list[float]:
    shares = [0.0] * diagonals
    for (u, v), share in zip(layer["frequencies"], layer["weight"], strict=True):
        shares[u + v] += share
    return shares


def must_have(layers: Sequence[Layer]) -> None:
    """SpectrumError for a network without a spectrum."""
    if not layers:
        raise SpectrumError("the network has no spatial convolution, so it has no spectrum to show.")
