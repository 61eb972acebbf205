"""Times of a network as it would be served here: every layer that a level can change is found in the graph, and a
layer's time is that of its fastest form."""

import pytest

from export.latency import layout_clock
from harmonic.compression import fully_harmonic, latency_prices, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.layers import BandSet
from tests.support.compression import SPEC, network

FULL = tuple((u, v) for u in range(3) for v in range(3))


@pytest.fixture(scope="module")
def whole():
    return fully_harmonic(network())


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def times(whole, told):
    return layout_clock(told.append)(whole, SPEC)


def test_every_layer_has_a_time_and_no_more_than_with_all_frequencies(whole, times):
    names = list(harmonic_layers(whole))
    found = times.of_layers([(name, kept) for name in names for kept in (FULL, FULL[:1])])
    assert set(found) == {(name, kept) for name in names for kept in (FULL, FULL[:1])}
    for name in names:
        assert 0 < found[name, FULL[:1]] <= found[name, FULL]


def test_a_shape_is_measured_once(whole, times, told):
    times.of_layers([("layer3.0.conv2", FULL)])
    count = len(told)
    times.of_layers([("layer3.0.conv2", FULL)])
    assert len(told) == count


def test_a_layer_that_the_graph_has_not_is_in_the_rest(times):
    assert times.of_layers([("nowhere", FULL)]) == {("nowhere", FULL): 0}


def test_another_network_is_measured_beside_the_whole_one(whole, times):
    """One filter of nine in wide layers takes less on any machine; the same network takes as long, give or take."""
    small = with_cuts(whole, dict.fromkeys(harmonic_layers(whole), 1))
    assert times.beside(small) < 1.05 * times.whole
    assert 0.5 * times.whole < times.beside(whole) < 2 * times.whole


def test_every_time_is_counted_in_the_whole(whole, times):
    prices = latency_prices(whole, times)
    own = {name: layer.level for name, layer in harmonic_layers(whole).items()}
    assert prices.total(own) == times.whole


def test_a_set_of_bands_has_a_time_of_its_own(whole, times):
    """Every twentieth band: less than all frequencies take, whatever form is the fastest."""
    kept = BandSet(64 * 9, tuple(range(0, 64 * 9, 20)))
    found = times.of_layers([("layer3.0.conv2", kept), ("layer3.0.conv2", FULL)])
    assert 0 < found["layer3.0.conv2", kept] <= found["layer3.0.conv2", FULL]
