"""The norm between bank and weights in service: frozen as trained, or following a window of traffic.

Both take band responses (n, bands, rows, columns) and normalise each band. Knows torch; imported by native.py alone.
"""

import threading

import torch
from torch import Tensor


class FrozenNorm:
    """(z - mean) / sqrt(var + eps), with the statistics of training."""

    def __init__(self, mean: Tensor, var: Tensor, eps: float) -> None:
        self._mean, self._scale = _applied(mean, var, eps)

    def __call__(self, bands: Tensor) -> Tensor:
        return (bands - self._mean) * self._scale

    def follow_traffic(self) -> None:
        """Nothing follows."""

    def reset(self) -> None:
        """Nothing was adapted."""


class AdaptiveNorm:
    """The same with the statistics of the last `window` images, this call's included.

    The window is a ring that holds for each image its bands' mean and mean square over all positions. At the start,
    and after a reset, every place holds what training says, so that the first images move it little. Frozen until
    `follow_traffic`.
    """

    def __init__(self, mean: Tensor, var: Tensor, eps: float, window: int) -> None:
        self._trained = torch.stack([mean, var + mean * mean]).double()
        self._eps = eps
        self._ring = torch.empty((window, *self._trained.shape), dtype=torch.float64, device=mean.device)
        self._lock = threading.Lock()  # a reset comes from another thread
        self._frozen = self._forget = True
        self._next = 0

    def __call__(self, bands: Tensor) -> Tensor:
        with self._lock:
            if self._forget:
                self._begin_again()
            if not self._frozen:
                self._note(bands)
            first, second = self._ring.mean(0)
        mean, scale = _applied(first, (second - first * first).clamp(min=0), self._eps)
        return (bands - mean) * scale

    def follow_traffic(self) -> None:
        """From now on every image counts."""
        with self._lock:
            self._frozen = False

    def reset(self) -> None:
        """Back to the statistics of training, in the next call: its thread and stream are those that use the ring."""
        with self._lock:
            self._forget = True

    def _begin_again(self) -> None:
        self._ring.copy_(self._trained.expand_as(self._ring))
        self._next = 0
        self._forget = False

    def _note(self, bands: Tensor) -> None:
        """Put this call's images in the place of the oldest ones."""
        wide = bands[-len(self._ring) :].double()
        figures = torch.stack([wide.mean((2, 3)), (wide * wide).mean((2, 3))], dim=1)
        sound = torch.isfinite(figures).all(dim=2, keepdim=True).all(dim=1, keepdim=True)
        figures = torch.where(sound, figures, self._trained)  # one image of no numbers must not poison the window
        places = (self._next + torch.arange(len(figures), device=figures.device)) % len(self._ring)
        self._ring[places] = figures
        self._next = (self._next + len(figures)) % len(self._ring)


def _applied(mean: Tensor, var: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return mean.float().view(1, -1, 1, 1), torch.rsqrt(var.double() + eps).float().view(1, -1, 1, 1)
