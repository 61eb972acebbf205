"""Harmonic against plain shallow networks on a small budget: the same recipe, images and seeds for all.

    python -m benchmarks.fast_table --data train.zip --test test.zip --out runs/fast --set train.epochs=6

The networks have about a quarter of the recipe's width. Every run is resumable.
"""

from benchmarks.variants import main

VARIANTS = {
    "plain": ("cifar_vgg10_0.25", {}),
    "harmonic": ("cifar_harm_vgg10_0.25", {}),
}

if __name__ == "__main__":
    main(__doc__ or "", VARIANTS, "cifar10-harm-fast")
