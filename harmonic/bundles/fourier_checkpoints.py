"""Weights of the original scale-equivariant networks: complex checkpoints read into real networks.

Three quarters of what the original stores never reaches an answer: the imaginary part of every kernel (but for even
sizes below the grid), of every 1x1, and the norms of most even resolutions. What is kept gives the original's answers
at size 28 and at odd sizes, in the form of its head that was meant.
Source: checkpoints of the code of Rahman, Yeh, NeurIPS 2023, for MNIST-scale.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from harmonic.bundles.bundle import load_strictly
from harmonic.errors import BundleError
from harmonic.zoo import FourierNet, Stage

_IGNORED = re.compile(r"L\d+\.(spectral_decay|mat)|conv\d+\.conv_i\.weight")
_HEAD = {"0": "0", "2": "1", "4": "3", "6": "5"}  # LayerNorm, Linear, LayerNorm, Linear: theirs -> ours


def load_original(state: Mapping[str, Tensor], network: FourierNet) -> FourierNet:
    """Load an original MNIST-scale checkpoint into a `fourier_mnist` of the same widths, and return it.

    Raises BundleError for whatever is missing, left over or of another shape, and for networks with bands, whose
    resolutions differ from the original's.
    """
    if not all(isinstance(stage, Stage) for stage in network.stages):
        raise BundleError("only MNIST-scale checkpoints can be read: larger networks differ in their resolutions.")
    translated: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if not _IGNORED.fullmatch(key):
            translated.update(_translated(key, tensor, network))
    load_strictly(network, translated, source="the state")
    return network


def is_original(names: Iterable[str]) -> bool:
    """Whether a checkpoint's names are the original's."""
    return any(re.fullmatch(r"L\d+\.L", name) for name in names)


def real_kernel(spectrum: Tensor) -> Tensor:
    """The kernel (out, in, n, n) that a complex spectrum (in, out, n, n) stands for: Re IDFT."""
    kernel: Tensor = torch.fft.ifft2(spectrum).real.transpose(0, 1).contiguous()
    return kernel


def _translated(key: str, tensor: Tensor, network: FourierNet) -> dict[str, Tensor]:
    if match := re.fullmatch(r"L(\d+)\.L", key):
        return {f"stages.{match[1]}.spectral.weight": real_kernel(tensor)}
    if match := re.fullmatch(r"conv(\d+)\.conv_r\.weight", key):
        return {f"stages.{match[1]}.mix.weight": tensor}
    if match := re.fullmatch(r"NL(\d+)\.norm\.(\d+)\.(weight|bias)", key):
        return {f"stages.{match[1]}.activation.{match[3]}.{_norm_index(network, int(match[2]))}": tensor}
    if (match := re.fullmatch(r"res_dict\.(\d)\.(weight|bias)", key)) and match[1] in _HEAD:
        return {f"head.mlp.{_HEAD[match[1]]}.{match[2]}": tensor}
    return {key: tensor}  # unknown: the strict load names it


def _norm_index(network: FourierNet, size: int) -> int | str:
    stage = network.stages[0]
    sizes = stage.activation.norm_sizes if isinstance(stage, Stage) else ()
    return sizes.index(size) if isinstance(sizes, tuple) and size in sizes else f"size {size}"
