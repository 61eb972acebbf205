"""A budget in time: layers' times choose, the whole network's time decides. The clock is one of counted multiplications
that can be made to err as real ones do."""

from dataclasses import dataclass

import pytest

from harmonic.compression.choice import Budget
from harmonic.compression.compress import compress_bundle
from harmonic.compression.latency import latency_prices
from harmonic.compression.sensitivity import fully_harmonic
from harmonic.compression.table import compression_figures
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.layers import BandSet
from tests.support.compression import calibration_images, given, network

REST = 1000


@dataclass
class Counted:
    """A nanosecond for every number of a layer. slower: times as long as its layers say does another network take."""

    network: object
    slower: float = 1.0

    def __post_init__(self):
        self.whole, self.asked, self.beside_calls = REST + self._sum(self.network), [], 0

    def of_layers(self, wanted):
        self.asked += wanted
        layers = harmonic_layers(self.network)
        each = {name: layer.weight.numel() // len(layer.frequencies) for name, layer in layers.items()}
        return {(name, kept): each[name] * len(kept) for name, kept in wanted}

    def beside(self, other):
        self.beside_calls += 1
        return round(self.slower * (REST + self._sum(other)))

    def _sum(self, other):
        return sum(layer.weight.numel() for layer in harmonic_layers(other).values())


@pytest.fixture(scope="module")
def bench():
    return calibration_images()


def compressed_in(bench, budget, slower=1.0):
    clocks = []

    def clock(whole, spec):
        assert spec == bench.spec
        clocks.append(Counted(whole, slower))
        return clocks[-1]

    made, outcome = compress_bundle(given(network()), bench, budget, refitted=False, clock=clock)
    return made, outcome, clocks[0]


def test_a_budget_of_latency_is_kept_and_used(bench):
    made, outcome, clock = compressed_in(bench, Budget("latency", 0.5))
    before, after = outcome.sizes["latency"]
    assert (before, after) == (clock.whole, clock.beside(made.model))
    assert 0.4 * before < after <= 0.5 * before
    of_layers = [sizes["latency"] for sizes in outcome.layer_sizes.values()]
    assert before - after == sum(then - now for then, now in of_layers)


def test_what_takes_longer_together_than_by_layer_is_chosen_again(bench):
    _, plain, _ = compressed_in(bench, Budget("latency", 0.6))
    _, outcome, clock = compressed_in(bench, Budget("latency", 0.6), slower=1.2)
    before, after = outcome.sizes["latency"]
    assert after <= 0.6 * before
    assert outcome.parameters[1] < plain.parameters[1]
    assert clock.beside_calls >= 3  # two choices at least, and the outcome


class Disturbed(Counted):
    """Something disturbs the first measurement of another network: it takes twice as long."""

    def beside(self, other):
        return (2 if self.beside_calls == 0 else 1) * super().beside(other)


def test_one_disturbed_measurement_costs_little_of_the_network(bench):
    plain = compress_bundle(
        given(network()), bench, Budget("latency", 0.6), refitted=False, clock=lambda n, _: Counted(n)
    )
    other = compress_bundle(
        given(network()), bench, Budget("latency", 0.6), refitted=False, clock=lambda n, _: Disturbed(n)
    )
    (_, usual), (whole, after) = plain[1].sizes["latency"], other[1].sizes["latency"]
    assert 0.9 * usual < after <= 0.6 * whole


def test_a_machine_that_saves_nothing_is_told_with_the_shortest_time_that_it_took(bench):
    with pytest.raises(CompressionError, match=r"none of 6 choices took .* the shortest took"):
        compressed_in(bench, Budget("latency", 0.6), slower=9.0)


def test_a_share_of_time_that_no_levels_meet_is_told_before_layers_are_measured(bench):
    def watch(*steps):
        pytest.fail("measured")

    with pytest.raises(CompressionError, match=r"brings the network to .* ms latency; the least is"):
        compress_bundle(given(network()), bench, Budget("latency", 0.01), watch, clock=lambda net, _: Counted(net))


@pytest.mark.parametrize("clock", [None, lambda *_: None])
def test_a_budget_in_latency_needs_a_clock_that_can_tell(bench, clock):
    with pytest.raises(CompressionError, match="needs latency to be measured"):
        compress_bundle(given(network()), bench, Budget("latency", 0.5), clock=clock)


def test_with_another_budget_the_levels_that_were_chosen_are_timed_and_no_others(bench):
    _, outcome, clock = compressed_in(bench, Budget("params", 0.5))
    layers = harmonic_layers(fully_harmonic(network()))
    assert len(set(clock.asked)) <= 2 * len(layers)
    assert outcome.sizes["latency"][1] < outcome.sizes["latency"][0]
    assert outcome.summary()["latency_ms"] == [round(each / 1e6, 3) for each in outcome.sizes["latency"]]
    assert compression_figures(outcome)["latency_ns"] == list(outcome.sizes["latency"])


def test_without_a_clock_nothing_is_said_of_latency(bench):
    _, outcome = compress_bundle(given(network()), bench, Budget("params", 0.5), refitted=False)
    assert "latency_ms" not in outcome.summary()
    assert compression_figures(outcome)["latency_ns"] is None


def test_prices_are_the_layers_and_what_no_level_changes():
    whole = fully_harmonic(network())
    prices = latency_prices(whole, Counted(whole))
    assert prices.rest == REST
    assert prices.of("layer3.0.conv2", 1) == 64 * 64
    assert prices.of("layer3.0.conv2", None) == 64 * 64 * 9


def test_a_budget_in_latency_keeps_levels(bench):
    with pytest.raises(CompressionError, match="for a budget in latency, keep levels"):
        compress_bundle(given(network()), bench, Budget("latency", 0.5), clock=Counted, sets="channel")


def test_sets_that_were_chosen_for_another_budget_are_timed(bench):
    asked = []

    class Each(Counted):
        def of_layers(self, wanted):
            asked.extend(kept for _, kept in wanted)
            return dict.fromkeys(wanted, 1)

    _, outcome = compress_bundle(
        given(network()), bench, Budget("params", 0.5), clock=lambda net, _: Each(net), sets="channel"
    )
    chosen = [cut for cut in outcome.cuts.values() if isinstance(cut, BandSet)]
    assert chosen
    assert set(chosen) <= set(asked)
