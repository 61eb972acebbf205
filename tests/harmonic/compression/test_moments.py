"""Coefficients from running sums are those of a least-squares solver that sees all the data at once."""

import numpy as np
import pytest
import torch

from harmonic.compression.moments import RIDGE, Moments, share_of

GROUPS, RESPONSES, OUTPUTS = 2, 5, 3


@pytest.fixture
def data():
    torch.manual_seed(0)
    x = torch.randn(8, GROUPS * RESPONSES, 6, 7) + 1
    mixing = torch.randn(GROUPS, OUTPUTS, RESPONSES)
    grouped = x.unflatten(1, (GROUPS, RESPONSES))
    y = torch.einsum("gor,ngrhw->ngohw", mixing, grouped).flatten(1, 2) + 3
    return x, y, mixing


def gathered(x, y, **share):
    moments = Moments(GROUPS, RESPONSES, OUTPUTS)
    for half in (slice(0, 3), slice(3, 8)):
        moments.add(x[half], y[half], **share)
    return moments


def test_a_linear_law_is_found_again(data):
    x, y, mixing = data
    found = gathered(x, y).solved(mixing + 0.1, centred=True)
    assert torch.allclose(found, mixing.double(), atol=2e-3)
    assert torch.allclose(
        gathered(x, y).shift(mixing.double()), torch.full((GROUPS * OUTPUTS,), 3.0).double(), atol=1e-4
    )


@pytest.mark.parametrize("centred", [True, False])
def test_it_is_the_ridge_solution_around_the_start(data, centred):
    x, y, _ = data
    y = y + torch.randn_like(y)
    start = torch.randn(GROUPS, OUTPUTS, RESPONSES)
    found = gathered(x, y).solved(start, centred)
    for group in range(GROUPS):
        rows = x.unflatten(1, (GROUPS, RESPONSES))[:, group].transpose(0, 1).flatten(1).T.double().numpy()
        wanted = y.unflatten(1, (GROUPS, OUTPUTS))[:, group].transpose(0, 1).flatten(1).T.double().numpy()
        if centred:
            rows, wanted = rows - rows.mean(0), wanted - wanted.mean(0)
        ridge = np.sqrt(RIDGE * (rows**2).mean(0).mean() * len(rows)) * np.eye(RESPONSES)
        gap = wanted - rows @ start[group].double().numpy().T
        way = np.linalg.lstsq(np.vstack([rows, ridge]), np.vstack([gap, np.zeros((RESPONSES, OUTPUTS))]), rcond=None)[0]
        assert np.allclose(found[group], start[group].double().numpy() + way.T, atol=1e-4)


def test_some_responses_are_as_if_there_were_no_others(data):
    x, y, mixing = data
    kept = torch.tensor([True, False, True, True, False])
    few = x.unflatten(1, (GROUPS, RESPONSES))[:, :, kept].flatten(1, 2)
    alone = Moments(GROUPS, 3, OUTPUTS)
    alone.add(few, y)
    some = gathered(x, y).kept(kept)
    start = mixing[:, :, kept]
    assert torch.allclose(some.solved(start, centred=True), alone.solved(start, centred=True), atol=1e-5)
    assert torch.allclose(some.shift(start.double()), alone.shift(start.double()), atol=1e-5)


def test_responses_that_never_vary_do_no_harm():
    moments = Moments(1, 2, 1)
    moments.add(torch.zeros(4, 2, 3, 3), torch.randn(4, 1, 3, 3))
    start = torch.ones(1, 1, 2)
    assert torch.equal(moments.solved(start, centred=True), start.double())


def test_a_share_of_the_positions_gives_nearly_the_same(data):
    x, y, mixing = data
    part = gathered(x, y, share=0.5)
    assert part.count == gathered(x, y).count // 2
    assert torch.allclose(part.solved(mixing + 0.1, centred=True), mixing.double(), atol=5e-3)


def test_few_positions_are_all_taken():
    assert share_of(1000, 9) == 1
    assert share_of(10_000_000, 9) < 0.01
    assert share_of(10_000_000, 900) == pytest.approx(100 * share_of(100_000_000, 90) * 900 / 2560, rel=0.1)


def test_a_share_of_many_positions_takes_none_that_is_not_there():
    """In float32 the last step of these would be rounded up to the position behind the last."""
    positions = 20 * 112 * 112
    x = torch.ones(1, 1, positions, 1)
    moments = Moments(1, 1, 1)
    moments.add(x, x, share_of(positions, 147))
    assert abs(moments.count - positions * share_of(positions, 147)) <= 1
