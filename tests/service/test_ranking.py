import numpy as np
import pytest

from service.ranking import predictions, softmax


def test_huge_logits_do_not_overflow():
    assert softmax(np.array([[1e38, -1e38, 0]], np.float32)).tolist() == [[1, 0, 0]]


def test_the_likeliest_come_first_and_equal_ones_in_the_order_of_the_labels():
    (prediction,) = predictions(np.array([[0, 2, 1, 2]], np.float32), ["a", "b", "c", "d"], 3)
    assert [(entry["label"], entry["index"]) for entry in prediction["classes"]] == [("b", 1), ("d", 3), ("c", 2)]


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (9, 2)])
def test_no_more_classes_than_there_are(top_k, count):
    assert [len(image["classes"]) for image in predictions(np.zeros((3, 2), np.float32), "ab", top_k)] == [count] * 3
