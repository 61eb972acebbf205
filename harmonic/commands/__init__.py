"""The sub-commands, a module each. Nothing heavy is imported before a command runs."""

from harmonic.commands.compression import compress
from harmonic.commands.conversion import convert, import_, pull
from harmonic.commands.evaluation import evaluate
from harmonic.commands.inspection import spectrum
from harmonic.commands.listing import models
from harmonic.commands.options import JpegScale, Json
from harmonic.commands.recipes import recipes
from harmonic.commands.tradeoffs import tradeoff
from harmonic.commands.training import train
from harmonic.commands.values import print_json

__all__ = [
    "JpegScale",
    "Json",
    "compress",
    "convert",
    "evaluate",
    "import_",
    "models",
    "print_json",
    "pull",
    "recipes",
    "spectrum",
    "tradeoff",
    "train",
]
