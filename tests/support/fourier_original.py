"""A checkpoint of the Fourier networks' original."""

import torch
from torch import Tensor

WIDTHS, HIDDEN, CLASSES, TAPS, GRID = (3, 4), 6, 5, 5, 28


def checkpoint() -> dict[str, Tensor]:
    """A state as the original stores it, for two stages."""
    draw = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=draw)  # noqa: E731
    state: dict[str, Tensor] = {}
    for i, (inputs, outputs) in enumerate(zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)):
        state[f"L{i}.L"] = torch.complex(normal(inputs, outputs, TAPS, TAPS), normal(inputs, outputs, TAPS, TAPS))
        state[f"L{i}.spectral_decay"], state[f"L{i}.mat"] = normal(TAPS, TAPS), normal(GRID, TAPS)
        state[f"conv{i}.conv_r.weight"] = normal(outputs, inputs, 1, 1)
        state[f"conv{i}.conv_i.weight"] = normal(outputs, inputs, 1, 1)
        for size in range(6, 29):
            state[f"NL{i}.norm.{size}.weight"], state[f"NL{i}.norm.{size}.bias"] = normal(outputs), normal(outputs)
    features = 4 * WIDTHS[-1]
    for place, shapes in {0: [(features,)] * 2, 2: [(HIDDEN, features), (HIDDEN,)], 4: [(HIDDEN,)] * 2}.items():
        state[f"res_dict.{place}.weight"], state[f"res_dict.{place}.bias"] = (normal(*shape) for shape in shapes)
    state["res_dict.6.weight"], state["res_dict.6.bias"] = normal(CLASSES, HIDDEN), normal(CLASSES)
    return state
