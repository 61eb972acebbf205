"""Bundles and checkpoints are read here: trained classifiers on disk, and how networks from elsewhere become one.

A bundle is weights with everything needed to use them. Knows the zoo and conversion; no training, no ONNX.
"""

from harmonic.bundles import adopt, bundle, report, starter
from harmonic.bundles.bundle import CARD, Bundle, Card, load, read_card
from harmonic.bundles.checkpoints import import_reference, read_state
from harmonic.bundles.classifier import Classifier
from harmonic.bundles.heads import Headed, with_joined_stages, with_new_head
from harmonic.bundles.plans import with_plans
from harmonic.bundles.prediction import Prediction, probabilities
from harmonic.bundles.releases import RELEASES, Release, cache_folder, download
from harmonic.bundles.report import Report

__all__ = [
    "CARD",
    "RELEASES",
    "Bundle",
    "Card",
    "Classifier",
    "Headed",
    "Prediction",
    "Release",
    "Report",
    "adopt",
    "bundle",
    "cache_folder",
    "download",
    "import_reference",
    "load",
    "probabilities",
    "read_card",
    "read_state",
    "report",
    "starter",
    "with_joined_stages",
    "with_new_head",
    "with_plans",
]
