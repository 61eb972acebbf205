"""Learned 7x7 kernels and their spectra, with and without the window, as one PNG.

python benchmarks/hamming_picture.py WINDOWED/bundle PLAIN/bundle docs/images/hamming.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from harmonic.bundles import bundle
from harmonic.layers import HammingConv2d

_SHOWN = 6
_GRID = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("windowed", type=Path)
    parser.add_argument("plain", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    rows = {"windowed": kernels(asked.windowed), "plain": kernels(asked.plain)}
    draw(rows, asked.out)


def kernels(folder: Path) -> Tensor:
    """Every kernel of the second stage's first layer, as it is applied."""
    layer = bundle.load(folder).model.get_submodule("layer2.0.conv1")
    weight = layer.kernel() if isinstance(layer, HammingConv2d) else plain_weight(layer)
    return weight.detach().flatten(0, 1)


def plain_weight(layer: nn.Module) -> Tensor:
    if not isinstance(layer, nn.Conv2d):
        raise SystemExit(f"wanted a convolution, found {type(layer).__name__}")
    return layer.weight


def spectra(found: Tensor) -> Tensor:
    return torch.fft.fftshift(torch.fft.fft2(found, s=(_GRID, _GRID)).abs(), dim=(-2, -1))


def draw(rows: dict[str, Tensor], out: Path) -> None:
    figure, axes = plt.subplots(2 * len(rows), _SHOWN, figsize=(1.6 * _SHOWN, 3.4 * len(rows)))
    for index, (name, found) in enumerate(rows.items()):
        strongest = found[found.square().sum(dim=(1, 2)).argsort(descending=True)[:_SHOWN]]
        for column, (kernel, spectrum) in enumerate(zip(strongest, spectra(strongest), strict=True)):
            limit = float(kernel.abs().max())
            axes[2 * index, column].imshow(kernel, cmap="RdBu", vmin=-limit, vmax=limit)
            axes[2 * index + 1, column].imshow(spectrum, cmap="magma")
        axes[2 * index, 0].set_ylabel(f"{name}\nkernel")
        axes[2 * index + 1, 0].set_ylabel(f"{name}\nspectrum")
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
