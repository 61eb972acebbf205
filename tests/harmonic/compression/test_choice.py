"""Levels that lose least within a budget: what is missed least goes first, and the budget holds."""

import pytest
import torch

from harmonic.compression.choice import Budget, Menu, cuts_for, parse_budget
from harmonic.compression.cuts import own_cuts
from harmonic.compression.prices import least, mac_prices, parameter_prices
from harmonic.compression.sensitivity import fully_harmonic, losses, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from tests.support.compression import calibration_images, network


@pytest.fixture
def bench():
    return calibration_images()


def test_frequencies_that_a_layer_does_not_use_go_first(bench):
    model = fully_harmonic(network())
    idle = "layer3.0.conv2"
    with torch.no_grad():
        model.get_submodule(idle).weight[:, :, 1:] = 0
    measured = losses(model, bench)
    assert all(loss.divergence < 1e-9 for loss in measured if loss.layer == idle)
    levels = cuts_for(model, measured, parameters(model) - 64 * 64 * 8 + 200)
    assert levels[idle] == 1
    assert all(level is None for name, level in levels.items() if name != idle)


def test_a_budget_that_no_levels_meet_is_told_with_the_least_possible(bench):
    model = fully_harmonic(network())
    least = parameters(with_cuts(model, dict.fromkeys(harmonic_layers(model), 1)))
    with pytest.raises(CompressionError, match=f"the least is {least:,}"):
        cuts_for(model, losses(model, bench), 100)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("params=0.6", "params", 0.6),
        ("macs=1", "macs", 1.0),
        ("latency=0.5", "latency", 0.5),
        ("bytes=2MB", "bytes", 2_000_000),
        ("bytes=1.5 KiB", "bytes", 1536),
        ("bytes=700", "bytes", 700),
        ("accuracy=-1", "accuracy", -1.0),
    ],
)
def test_budgets_are_read(text, kind, value):
    assert parse_budget(text) == Budget(kind, value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "params",
            "params=0",
            "params=1.5",
            "params=nan",
            "params=x",
            "macs=0",
            "macs=1.1",
            "accuracy=1",
            "size=3",
        ),
        *("bytes=", "bytes=0", "bytes=0.5", "bytes=-1", "bytes=2TB", "bytes=nan", "bytes=1e6"),
    ],
)
def test_other_budgets_are_refused(text):
    with pytest.raises(CompressionError, match="a budget is"):
        parse_budget(text)


def test_levels_keep_to_what_prices_are_in(bench):
    """Half of the multiplications: in what they weigh there, not in parameters."""
    model = fully_harmonic(network())
    prices = mac_prices(model, (3, 16, 16))
    own = own_cuts(model)
    allowed = prices.total(own) // 2
    levels = cuts_for(model, losses(model, bench, refitted=False), allowed, prices, "macs")
    assert 0.85 * allowed < prices.total(levels) <= allowed
    with pytest.raises(CompressionError, match=f"to 9 multiplications; the least is {least(model, prices):,}"):
        cuts_for(model, losses(model, bench, refitted=False), 9, prices, "macs")


def test_a_menu_gives_levels_for_numbers_and_numbers_for_levels(bench):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    menu = Menu.of(model, losses(model, bench, refitted=False), parameter_prices(model))
    own = own_cuts(model)
    assert menu.as_cuts(menu.numbers(own)) == own
    assert all(options[menu.numbers(own)[name]].cost == 0 for name, options in menu.options.items())
    lowest = menu.as_cuts(menu.chosen(least(model, parameter_prices(model))))
    assert set(lowest.values()) == {1}
