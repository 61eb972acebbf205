"""What a classifier achieves: figures of any predictor on labelled images, and comparisons.

Knows bundles and data; no training, no ONNX, no HTTP. The module `folds` is for others too; it needs scikit-learn.
"""

from harmonic.evaluation import metrics
from harmonic.evaluation.comparison import compare, comparison_table
from harmonic.evaluation.evaluate import Evaluation, NetworkPredictor, bundle_predictor, evaluate
from harmonic.evaluation.larger_images import open_resized
from harmonic.evaluation.reporting import confusions, estimate, report_of
from harmonic.evaluation.tables import class_tables, evaluation_table, mistakes_table

__all__ = [
    "Evaluation",
    "NetworkPredictor",
    "bundle_predictor",
    "class_tables",
    "compare",
    "comparison_table",
    "confusions",
    "estimate",
    "evaluate",
    "evaluation_table",
    "folds",
    "metrics",
    "mistakes_table",
    "open_resized",
    "report_of",
]
