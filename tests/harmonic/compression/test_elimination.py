"""What can be missed best goes first, and the solution that is left is the one without it."""

import itertools

import pytest
import torch

from harmonic.compression.elimination import eliminated, eliminated_units


def problem(groups=2, responses=7, outputs=3):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(groups, 50, responses, dtype=torch.float64, generator=draw)
    y = torch.randn(groups, outputs, responses, dtype=torch.float64, generator=draw)
    squares = x.transpose(1, 2) @ x / 50
    return squares, y @ squares


def error(squares, products, mask):
    """The squared error that the best coefficients of some responses leave, but for what no choice changes."""
    some, wanted = squares[:, mask][:, :, mask], products[:, :, mask].transpose(1, 2)
    return -float((torch.linalg.solve(some, wanted) * wanted).sum())


def test_the_first_to_go_is_the_one_whose_absence_costs_least():
    squares, products = problem()
    mask = eliminated(squares, products, [6])[6].mask
    without = [torch.arange(7) != gone for gone in range(7)]
    assert error(squares, products, mask) == pytest.approx(min(error(squares, products, one) for one in without))


def test_every_step_costs_least_once_the_rest_has_made_up_for_the_last():
    squares, products = problem()
    found = eliminated(squares, products, range(1, 7))
    for count in range(1, 6):
        more, less = found[count + 1].mask, found[count].mask
        assert (less <= more).all()
        choices = [more & (torch.arange(7) != gone) for gone in more.nonzero().flatten()]
        assert error(squares, products, less) == pytest.approx(min(error(squares, products, one) for one in choices))


def test_responses_that_say_nothing_go_before_all_others():
    squares, products = problem(responses=40)
    products[:, :, 10:] = products[:, :, :10] @ torch.linalg.solve(squares[:, :10, :10], squares[:, :10, 10:])
    mask = eliminated(squares, products, [10])[10].mask
    assert mask[:10].all()


def test_units_go_whole_and_the_least_missed_first():
    squares, products = problem(groups=1, responses=6)
    units = torch.tensor([0, 1, 2, 0, 1, 2])
    found = eliminated_units(squares, products, units)
    assert set(found) == {1, 2}
    for mask in (one.mask for one in found.values()):
        assert all(len(set(mask[units == unit].tolist())) == 1 for unit in range(3))
    pairs = [sum(units == unit for unit in two).bool() for two in itertools.combinations(range(3), 2)]
    assert error(squares, products, found[2].mask) == pytest.approx(min(error(squares, products, one) for one in pairs))


def test_counts_are_kept_where_several_go_at_once():
    squares, products = problem(groups=1, responses=60)
    assert {count: int(one.mask.sum()) for count, one in eliminated(squares, products, [50, 7, 23]).items()} == {
        50: 50,
        23: 23,
        7: 7,
    }


def test_what_stays_comes_solved():
    squares, products = problem(responses=30)
    units = torch.arange(30) % 3
    for found in (eliminated(squares, products, [20, 4]), eliminated_units(squares, products, units)):
        for one in found.values():
            some = squares[:, one.mask][:, :, one.mask]
            assert torch.allclose(one.coefficients @ some, products[:, :, one.mask], atol=1e-9)
