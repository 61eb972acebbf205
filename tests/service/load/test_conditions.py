"""`--fail-if`: read as written, and broken when it should be."""

import pytest

from service.load.conditions import broken, read_condition
from service.load.plan import LoadError
from tests.support.steps import step


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("p99>9", ["p99>9: 10 at 100 requests/s"]),
        ("p99 > 9 ms", ["p99>9: 10 at 100 requests/s"]),
        ("p99>11", []),
        ("max<11", ["max<11: 10 at 100 requests/s"]),
        ("p99.9>9.5", ["p99.9>9.5: 10 at 100 requests/s"]),
        ("errors>0", ["errors>0: 3 at 100 requests/s"]),
        ("errors>3", []),
        ("error_share>0.02", ["error_share>0.02: 0.03 at 100 requests/s"]),
        ("throughput<10", ["throughput<10: 9.6 at 100 requests/s"]),
        ("throughput<9", []),
        ("late>0", []),
        ("peak<50", ["peak<50: the peak is 40 requests/s"]),
        ("peak<30", []),
    ],
)
def test_a_condition_gives_its_reason(text: str, reasons: list[str]):
    found = broken([read_condition(text)], [step(failed=3, latency_ms=10.0)], 40.0)
    assert [line.replace("10.0", "10").replace("9.7", "9.6") for line in map(rounded, found)] == reasons


def rounded(line: str) -> str:
    """Sums of floats as people write them."""
    return " ".join(f"{float(word):.3g}" if word.replace(".", "", 1).isdigit() else word for word in line.split(" "))


def test_where_nothing_was_answered_no_latency_is_good_enough():
    assert broken([read_condition("p50>1000")], [step(failed=100)], None) == ["p50>1000: inf at 100 requests/s"]


@pytest.mark.parametrize("text", ["p98>5", "p99", "p99=5", "p99>x", "p99>.", ">5", "errors>1.2.3", ""])
def test_what_is_no_condition_is_refused(text: str):
    with pytest.raises(LoadError, match="Say it like"):
        read_condition(text)
