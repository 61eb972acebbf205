"""An exported version as a predictor, from a folder or from a store."""

import numpy as np
import pytest

from export.errors import ManifestError, StoreError
from export.predictor import version_predictor
from harmonic.evaluation.evaluate import open_predictor
from tests.support.colours import publish_colours
from tests.support.stores import in_memory, uploaded, written

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def store(tmp_path):
    """A store with the colours as version 1."""
    made = in_memory()
    uploaded(made, publish_colours(tmp_path / "models"))
    return made


def test_a_version_in_a_store_answers_as_the_one_in_the_folder(store, tmp_path):
    there, here = open_predictor(f"{store}/colours/1"), version_predictor(str(tmp_path / "models" / "colours" / "1"))
    assert (there.classes, there.pixels) == (here.classes, here.pixels)
    np.testing.assert_array_equal(there(PIXELS), here(PIXELS))
    np.testing.assert_array_equal(version_predictor(f"{store}/colours/1:fp32")(PIXELS), here(PIXELS))


def test_what_was_changed_in_a_store_is_not_measured(store):
    written(store, b"another", "colours", "1", "model.onnx")
    with pytest.raises(ManifestError, match="the file was changed"):
        version_predictor(f"{store}/colours/1")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/colours/2", "colours/2: it has no manifest yet"),
        ("/colours", "wants the form s3://BUCKET"),
        ("/colours/one", "wants the form s3://BUCKET"),
        ("/../1", "wants the form s3://BUCKET"),
    ],
)
def test_what_is_no_version_in_a_store_is_told(store, place, words):
    with pytest.raises(StoreError, match=words):
        version_predictor(f"{store}{place}")


@pytest.mark.parametrize("target", ["what://x/colours/1", "s3://colours/1", "s3:///a/1"])
def test_an_address_of_no_store_is_told(target):
    with pytest.raises(StoreError, match="wants the form"):
        version_predictor(target)


def test_a_variant_that_a_version_in_a_store_has_not_is_told(store):
    with pytest.raises(ManifestError, match="no variant 'int8'"):
        version_predictor(f"{store}/colours/1:int8")


def test_a_service_is_no_store():
    assert version_predictor("http://127.0.0.1:1/v1/models/colours") is None
