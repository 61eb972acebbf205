import numpy as np
import pytest

from service.ranking import rank, softmax


def test_huge_logits_do_not_overflow():
    assert softmax(np.array([[1e38, -1e38, 0]], np.float32)).tolist() == [[1, 0, 0]]


def test_the_likeliest_come_first_and_equal_ones_in_the_order_of_the_labels():
    (prediction,) = rank(np.array([[0, 2, 1, 2]], np.float32), 3).predictions(["a", "b", "c", "d"], 3)
    assert [(entry["label"], entry["index"]) for entry in prediction["classes"]] == [("b", 1), ("d", 3), ("c", 2)]


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (9, 2)])
def test_no_more_classes_than_there_are(top_k, count):
    found = rank(np.zeros((3, 2), np.float32), top_k).predictions("ab", top_k)
    assert [len(image["classes"]) for image in found] == [count] * 3


def test_a_part_of_a_batch_is_ranked_as_it_would_be_alone_and_cut_to_what_was_asked():
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    part = rank(logits, 6)[1:3]
    np.testing.assert_array_equal(part.logits, logits[1:3])
    assert part.predictions("abcdefg", 2) == rank(logits[1:3], 2).predictions("abcdefg", 2)


def test_logits_that_are_no_numbers_do_not_disturb_their_neighbours():
    batch = rank(np.array([[np.inf, 1], [0, 1], [np.nan, 0]], np.float32), 1)
    assert batch[1:2].predictions("ab", 1) == rank(np.array([[0, 1]], np.float32), 1).predictions("ab", 1)


def test_nothing_is_worked_out_that_nobody_asked_for():
    ranked = rank(np.zeros((2, 3), np.float32), 0)
    assert len(ranked) == 2 and ranked.predictions("abc", 5) == [{"classes": []}] * 2


def test_an_image_is_certain_from_the_models_own_probability_on():
    ranked = rank(np.log(np.array([[0.6, 0.4], [0.8, 0.2]], np.float32)), 1)
    border = ranked.probabilities[0][0]
    assert [image["certain"] for image in ranked.predictions("ab", 1, border)] == [True, True]
    assert [image["certain"] for image in ranked.predictions("ab", 1, border + 1e-9)] == [False, True]
    assert all("certain" not in image for image in ranked.predictions("ab", 1))
