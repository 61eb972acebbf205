"""Layers that cost most are kept in float first."""

import numpy as np
import pytest

from export.quantize.norms import without_norms
from export.quantize.pooling import with_pools
from export.quantize.search import Maker, divergence, in_memory, tries
from tests.support.graphs import answer, pixels, residual

PREPARED = without_norms(with_pools(residual()))


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker(PREPARED, [pixels(32, seed=5)])


def test_none_is_kept_then_the_first_then_the_last_too_then_more(maker: Maker) -> None:
    told: list[str] = []
    found = list(tries(maker, pixels(), answer(PREPARED, pixels()), told.append))
    layers = maker.layers
    assert found[:3] == [(), (layers[0],), (layers[0], layers[-1])]
    assert [len(kept) for kept in found[3:]] == [3, 4]
    assert set(found[3]) < set(found[4])
    assert len(told) == 1


def test_costs_are_measured_only_when_the_ends_are_not_enough(maker: Maker) -> None:
    told: list[str] = []
    going = tries(maker, pixels(), answer(PREPARED, pixels()), told.append)
    assert [next(going) for _ in range(3)]
    assert told == []


def test_the_layer_whose_eight_bits_move_the_answers_most_comes_first(maker: Maker) -> None:
    logits = answer(PREPARED, pixels())
    kept = list(tries(maker, pixels(), logits, lambda _: None))[3]
    first, last, chosen = kept
    others = [layer for layer in maker.layers if layer not in kept]
    errors = {
        layer: divergence(logits, in_memory(maker((first, last, layer)))(pixels())) for layer in (chosen, *others)
    }
    assert errors[chosen] == min(errors.values())


def test_divergence_is_zero_for_the_same_answers_whatever_is_added_to_all() -> None:
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], dtype=np.float32)
    assert divergence(logits, logits + 100) == pytest.approx(0, abs=1e-5)
    assert divergence(np.array([[0.0, np.log(3.0)]]), np.array([[0.0, 0.0]])) == pytest.approx(
        0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    )
