"""Muon turns filters along orthogonal directions and leaves all else to SGD."""

import copy

import pytest
import torch
from torch import nn

from harmonic.training.muon import Muon, orthogonal


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(12, 60), (60, 12), (16, 16)])
def test_a_matrix_becomes_nearly_orthogonal_in_its_own_directions(shape):
    matrix = drawn(*shape)
    found, (left, _, right) = orthogonal(matrix), torch.linalg.svd(matrix, full_matrices=False)
    along = torch.diagonal(left.T @ found @ right.T)
    assert along.min() > 0.5 and along.max() < 1.4
    assert torch.linalg.norm(found - left @ torch.diag(along) @ right) < 0.1 * torch.linalg.norm(found)


def test_no_gradient_at_all_is_no_direction():
    assert torch.equal(orthogonal(torch.zeros(3, 7)), torch.zeros(3, 7))


def test_filters_keep_their_length_and_turn_by_their_share_of_it():
    weight = nn.Parameter(drawn(8, 5, 9, 1, 1))
    before = weight.detach().clone()
    chosen = Muon([{"params": [weight], "lr": 0.1, "turned": True}], lr=9.0, momentum=0.9)
    # A gradient across the weight: along it a step would be undone by the length that stays.
    gradient = drawn(8, 5, 9, 1, 1, seed=1)
    weight.grad = gradient - before * (gradient * before).sum() / before.square().sum()
    chosen.step()
    after, gradient = weight.detach(), weight.grad
    assert float(after.norm()) == pytest.approx(float(before.norm()), rel=1e-5)
    assert float((after - before).norm() / before.norm()) == pytest.approx(0.1, rel=0.1)
    assert float(((after - before) * gradient).sum()) < 0


def test_a_step_does_not_depend_on_the_length_of_the_gradient():
    ends = []
    for scale in (1e-3, 1e3):
        weight = nn.Parameter(drawn(6, 20))
        weight.grad = scale * drawn(6, 20, seed=1)
        Muon([{"params": [weight], "turned": True}], lr=0.1, momentum=0.9).step()
        ends.append(weight.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=2e-2 * float(ends[0].abs().max()))


def test_what_is_not_turned_follows_sgd_with_nesterovs_momentum():
    ours, theirs = (nn.Parameter(drawn(4, 3)) for _ in range(2))
    first = Muon([{"params": [ours], "weight_decay": 0.01}], lr=0.2, momentum=0.9)
    second = torch.optim.SGD([theirs], lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.01)
    for step in range(4):
        ours.grad = theirs.grad = drawn(4, 3, seed=step + 1)
        first.step()
        second.step()
    torch.testing.assert_close(ours, theirs)


def test_what_has_no_gradient_is_left_alone():
    weight = nn.Parameter(drawn(4, 3))
    chosen = Muon([{"params": [weight], "weight_decay": 0.5, "turned": True}], lr=0.2, momentum=0.9)
    assert chosen.step(lambda: 3.0) == 3.0
    assert torch.equal(weight, drawn(4, 3)) and not chosen.state


def test_it_goes_on_from_its_state():
    def moved(weight, chosen, seeds):
        for seed in seeds:
            weight.grad = drawn(4, 30, seed=seed)
            chosen.step()

    def made(weight):
        return Muon([{"params": [weight], "turned": True}], lr=0.1, momentum=0.9)

    unbroken, broken = nn.Parameter(drawn(4, 30)), nn.Parameter(drawn(4, 30))
    moved(unbroken, made(unbroken), (1, 2, 3))
    stopped = made(broken)
    moved(broken, stopped, (1, 2))
    resumed = made(broken)
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    moved(broken, resumed, (3,))
    assert torch.equal(broken, unbroken)
