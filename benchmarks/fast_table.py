"""Harmonic against plain shallow networks on a small budget: the same recipe, images and seeds for all.

    python -m benchmarks.fast_table --data train.zip --test test.zip --out runs/fast --set train.epochs=8

The networks have less than half of the recipe's width. Every run is resumable.
"""

from benchmarks.variants import main

VARIANTS = {
    "plain": ("cifar_vgg10_0.5", {}),
    "harmonic": ("cifar_harm_vgg10_0.5", {}),
    "harmonic, levels full, 3, 2": ("cifar_harm_vgg10_0.5", {"level": [None, 3, 2]}),
}

if __name__ == "__main__":
    main(__doc__ or "", VARIANTS, "cifar10-harm-fast")
