import numpy as np
import pytest
import torch
from PIL import Image

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.errors import DataError, HarmonicError
from harmonic.evaluation.evaluate import Evaluation, NetworkPredictor, evaluate, open_predictor
from harmonic.pixels import PixelSpec

PIXELS = PixelSpec(height=4, width=4)
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]], dtype=float
)


def measured(labels=(0, 1, 1, 2, 2), classes=("a", "b", "c")):
    return Evaluation("here", classes, np.array(labels), PROBABILITIES, 1.0)


def test_accuracy_by_hand():
    assert [measured().top(k) for k in (1, 2, 3)] == [0.6, 0.8, 1.0]  # of equals the first counts


def test_confusion_has_true_classes_in_rows():
    assert measured().confusion().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]


def test_recall_by_hand():
    assert measured().recall().tolist() == [1.0, 0.5, 0.5]


def test_a_class_without_images_has_no_recall():
    result = measured(labels=(0, 1, 1, 1, 0))
    assert np.isnan(result.recall()[2])
    assert set(result.summary()["recall"]) == {"a", "b"}


def test_calibration_by_hand():
    """Confidences .7 .6 .5 .6 .4 in ten bins: three bins of one, one of two."""
    gaps = [abs(0.7 - 1), 2 * abs(0.6 - 1), abs(0.5 - 0), abs(0.4 - 0)]
    assert measured().calibration_error(bins=10) == pytest.approx(sum(gaps) / 5)


def test_certainty_falls_into_the_last_bin():
    sure = Evaluation("here", ("a", "b"), np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]), 1.0)
    assert sure.calibration_error() == 0


class ByColour:
    """Answers by the strongest channel, and counts its calls."""

    classes, pixels = ("red", "green", "blue"), PIXELS

    def __init__(self):
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        means = batch.reshape(len(batch), -1, 3).mean(axis=1)
        return means / means.sum(axis=1, keepdims=True)


def coloured(classes, count=9):
    def picture(index):
        return Image.new("RGB", (9, 9), classes[index % len(classes)])

    return Images("colours", classes, np.arange(count) % len(classes), [f"c{i}" for i in range(count)], picture)


def test_any_predictor_is_measured():
    result = evaluate(ByColour(), coloured(("red", "green", "blue")))
    assert result.top(1) == 1.0
    assert result.seconds > 0
    assert result.summary()["images"] == 9


def test_classes_are_matched_by_name():
    result = evaluate(ByColour(), coloured(("blue", "red")))
    assert result.top(1) == 1.0
    assert result.classes == ("red", "green", "blue")


def test_a_class_that_the_model_lacks_is_refused_before_any_call():
    predictor = ByColour()
    with pytest.raises(DataError, match="does not answer: white"):
        evaluate(predictor, coloured(("red", "white")))
    assert predictor.sizes == []


def test_images_come_in_bounded_batches():
    predictor = ByColour()
    evaluate(predictor, coloured(("red", "green", "blue"), 600))
    assert predictor.sizes == [256, 256, 88]


def test_a_networks_probabilities_are_its_softmax():
    torch.manual_seed(0)
    network = zoo.create("harm_wrn10_1", 3).eval()
    predictor = NetworkPredictor(network, ("a", "b", "c"), PIXELS)
    probabilities = predictor(np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert probabilities.shape == (5, 3)


def test_a_bundle_is_opened_by_its_folder(tmp_path):
    card = bundle.Card(architecture="wrn10_1", classes=("a", "b"), pixels=PIXELS)
    bundle.save(bundle.Bundle(card, zoo.create("wrn10_1", 2)), tmp_path / "b")
    assert open_predictor(str(tmp_path / "b")).classes == ("a", "b")


def test_a_target_that_is_nothing_is_told(tmp_path):
    with pytest.raises(HarmonicError, match="neither a bundle"):
        open_predictor(str(tmp_path))
