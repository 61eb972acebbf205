"""Recipes and images in, a run folder with a bundle out. On Lightning.

Knows everything below it; no ONNX, no HTTP. The door itself opens recipes alone: a shell that completes their names
must not wait for torch. `train` and `size_batches` are modules for others too.
"""

from harmonic.training import recipe
from harmonic.training.recipe import read_recipe, shipped

__all__ = ["read_recipe", "recipe", "shipped", "size_batches", "train"]
