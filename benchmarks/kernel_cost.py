"""What harmonic layers cost as they are, beside the same network with plain convolutions: a ratio, image by image.

python benchmarks/kernel_cost.py
"""

import statistics
import time
from collections.abc import Callable

import torch

from harmonic import zoo
from harmonic.conversion import as_plain

NETWORKS = (("harm_resnet50", 224), ("harm_wrn16_4", 32))
ROUNDS = 9


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    for name, side in NETWORKS:
        harmonic = zoo.create(name, 10).eval()
        plain = as_plain(harmonic)
        for count in (1, 8):
            x = torch.randn(count, 3, side, side)
            ratios = [seconds(harmonic, x) / seconds(plain, x) for _ in range(ROUNDS + 2)][2:]  # the first two warm up
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{name}, {side} pixels, {count} images: {statistics.median(ratios):.2f} ({spread})")


def seconds(network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> float:
    start = time.perf_counter()
    network(x)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
