"""Truncation costs less once the coefficients that are left are solved for again, on images and without labels.

Layer by layer, in the order in which they run: the coefficients that bring a truncated layer's outputs, on the inputs
that it gets now, closest to those of the whole network; then the statistics of the norms behind move by the difference
between both networks on the same images. Measuring them anew would lose what all the training images taught them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harmonic.compression.cuts import bands
from harmonic.compression.moments import Moments, share_of
from harmonic.compression.norms import move_statistics, outer_norms, statistics
from harmonic.compression.watch import Watch, unwatched
from harmonic.conversion import harmonic_layers
from harmonic.graph import Lockstep, Stop
from harmonic.layers import BandNormConv2d, SpectralConv2d

Images = Float[Tensor, "n c h w"]


def refit(
    truncated: nn.Module,
    whole: nn.Module,
    batches: Sequence[Images],
    watch: Watch = unwatched,
    *,
    spread: bool = True,
) -> nn.Module:
    """Bring a truncated network closer to the whole one, in place; returns it.

    truncated, whole: the same layers by the same names, in evaluation mode. batches: images as the networks take them,
    on their device. watch: wraps the names of the layers, to show progress. spread: the norms' variances move too;
    without that, what could not be won back makes signals smaller, which suits depth-wise layers. Layers that run more
    than once in a pass stay as they are. Needs memory for what both networks hold of all images between two layers.
    """
    layers, norms = harmonic_layers(truncated), outer_norms(truncated)
    order = run_order(truncated, [*layers, *norms], batches[0][:1])
    once = [name for name in order if order.count(name) == 1]
    with (
        Lockstep(truncated, batches, before=once) as after,
        Lockstep(
            whole,
            batches,
            before=[name for name in once if name in norms],
            after=[name for name in once if name in layers],
        ) as before,
    ):
        moved = False  # from the first layer that was truncated on, nothing is as it was
        left = sum(name in norms for name in order)
        for name in watch(once, "Solving layers"):
            now, was = after.advance(), before.advance()
            if not now or not was or not now.layer == was.layer == name:
                raise RuntimeError(f"the networks part at {name}")
            if name in norms:
                left -= 1
                if moved:
                    move_statistics(norms[name], statistics(now.values), statistics(was.values), spread)
            elif moved or _is_truncated(layers[name], whole.get_submodule(name)):
                _solve(layers[name], now, was, norm_follows=left > 0)
                moved = True
    return truncated


def responses(layer: SpectralConv2d, x: Images) -> Float[Tensor, "n bands h w"]:
    """What the layer's coefficients weigh."""
    every = layer.bands(x)
    return layer.norm(every) if isinstance(layer, BandNormConv2d) else every


def gathered(layer: SpectralConv2d, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Moments:
    """Moments of a layer's responses to these inputs, and of the outputs that are wanted of them."""
    moments = Moments(layer.groups, bands(layer), layer.out_channels // layer.groups)
    share = share_of(sum(batch[:, 0].numel() for batch in outputs), bands(layer))
    for given, wanted in zip(inputs, outputs, strict=True):
        moments.add(responses(layer, given), wanted, share)
    return moments


def by_group(layer: SpectralConv2d) -> Float[Tensor, "groups o r"]:
    """A layer's coefficients, as `Moments` takes them."""
    return layer.weight.detach().reshape(layer.groups, layer.out_channels // layer.groups, -1)


def _solve(layer: SpectralConv2d, now: Stop, was: Stop, norm_follows: bool) -> None:
    moments = gathered(layer, now.values, was.values)
    found = moments.solved(by_group(layer), centred=norm_follows or layer.bias is not None)
    with torch.no_grad():
        layer.weight.copy_(found.reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(moments.shift(found))


def _is_truncated(layer: SpectralConv2d, whole: nn.Module) -> bool:
    return isinstance(whole, SpectralConv2d) and bands(layer) < bands(whole)


def run_order(model: nn.Module, names: Sequence[str], image: Images) -> list[str]:
    """These layers in the order in which they run in one pass, each as often as it does."""
    order = []
    with Lockstep(model, [image], before=names) as one:
        while stop := one.advance():
            order.append(stop.layer)
    return order
