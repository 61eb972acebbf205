"""Recipes and images in, a run folder with a bundle out. On Lightning.

Knows everything below it; no ONNX, no HTTP. The door itself opens recipes alone: a shell that completes their names
must not wait for torch. `train`, `brief`, `cross_validation`, `size_batches` and `temperature` are modules for others
too.
"""

from harmonic.training import recipe
from harmonic.training.recipe import as_toml, read_recipe, shipped

__all__ = [
    "as_toml",
    "brief",
    "cross_validation",
    "read_recipe",
    "recipe",
    "shipped",
    "size_batches",
    "temperature",
    "train",
]
