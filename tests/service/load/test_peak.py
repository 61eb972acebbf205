"""The search for the highest rate, on services whose peak is known."""

import pytest

from service.load.figures import StepFigures
from service.load.peak import find_peak
from tests.support.steps import step


class Known:
    """Holds every rate up to its peak; the first `lies` rates beyond it are held by chance."""

    def __init__(self, peak: float, lies: int = 0, **beyond: float) -> None:
        self.peak, self.lies, self.beyond = peak, lies, beyond or {"latency_ms": 80.0}
        self.asked: list[tuple[float, bool]] = []

    def __call__(self, rate: float, confirmed: bool) -> StepFigures:
        self.asked.append((rate, confirmed))
        if rate > self.peak and self.lies and not confirmed:
            self.lies -= 1
            return step(rate)
        return step(rate) if rate <= self.peak else step(rate, **self.beyond)


@pytest.mark.parametrize("peak", [30.0, 100.0, 5000.0])
@pytest.mark.parametrize("first", [60.0, 1000.0])
def test_it_is_found_from_above_and_below(peak: float, first: float):
    service = Known(peak)
    found = find_peak(service, first, 50.0)
    assert 0.9 * peak <= found.rate <= peak
    assert service.asked[-1] == (found.rate, True)
    assert "p99 was 80 ms" in found.why
    assert len(found.tried) == len(service.asked) <= 17
    assert found.confirmed.rate == found.rate


def test_a_rate_that_was_held_by_chance_is_not_confirmed():
    found = find_peak(Known(100.0, lies=2), 110.0, 50.0)
    assert 90 <= found.rate <= 100


def test_failures_are_too_much():
    found = find_peak(Known(100.0, failed=2), 80.0, 50.0)
    assert 90 <= found.rate <= 100
    assert "2 requests failed (429 Too Many Requests)" in found.why


def test_what_the_sender_cannot_send_ends_the_search():
    assert "of a core" in find_peak(Known(100.0, cpu=0.99), 80.0, 50.0).why


def test_a_service_that_holds_nothing_has_no_peak():
    found = find_peak(Known(0.0), 80.0, 50.0)
    assert found.rate is None
    assert "p99 was 80 ms" in found.why


def test_ctrl_c_ends_it():
    found = find_peak(lambda rate, _: step(rate, cut=True), 80.0, 50.0)
    assert (found.rate, len(found.tried)) == (None, 1)
