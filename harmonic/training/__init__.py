"""Recipes and images in, a run folder with a bundle out. On Lightning.

Knows everything below it; no ONNX, no HTTP.
"""

from harmonic.training import recipe
from harmonic.training.recipe import read_recipe, shipped
from harmonic.training.size_batches import assigned_sizes, at_size
from harmonic.training.train import Where, train

__all__ = ["Where", "assigned_sizes", "at_size", "read_recipe", "recipe", "shipped", "train"]
