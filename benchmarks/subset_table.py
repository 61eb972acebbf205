"""Harmonic against plain wide ResNets on few labelled images: the same subsets, recipe and seeds for all.

    python -m benchmarks.subset_table --data train.zip --test test.zip --out runs/subset

A seed draws the subset too, the same one for every network. Every run is resumable. Other sizes, with as many steps:

    --set data.limit=100 --set train.epochs=500      --set data.limit=1000 --set train.epochs=50
"""

from benchmarks.variants import main

_DROPOUT = {"dropout": 0.2}
VARIANTS = {
    "plain": ("wrn16_2", _DROPOUT),
    "harmonic root": ("harm1_wrn16_2", _DROPOUT),
    "harmonic": ("harm_wrn16_2", _DROPOUT),
    "harmonic, progressive": ("harm_wrn16_2", {**_DROPOUT, "level": (None, 3, 2)}),
}

if __name__ == "__main__":
    main(__doc__ or "", VARIANTS, "cifar10-500-harm-wrn16-2-quick")
