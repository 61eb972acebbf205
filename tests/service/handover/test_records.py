"""What the doorbell says travels whole, and what is none of it is refused."""

import pytest

from service.errors import (
    DecodeError,
    DeviceLost,
    Draining,
    ModelFailed,
    NotReady,
    Overloaded,
    RequestError,
    ServiceError,
    TooManyImages,
)
from service.handover.records import SlotOrder, SlotOutcome, orders, outcomes

ORDERS = [
    SlotOrder(1, stand=7, images=3, slot=640, level=2, deadline=12.5, key="ci"),
    SlotOrder(2**40, stand=1, images=1, slot=2**33, level=1, deadline=0.25, key="Ä-key"),
    SlotOrder(1),
]


def test_orders_arrive_as_they_were_given() -> None:
    assert list(orders(b"".join(one.packed() for one in ORDERS))) == ORDERS


def test_outcomes_arrive_as_they_were_given() -> None:
    given = [SlotOutcome(1, 32, 0.125), SlotOutcome(2**40, left=True)]
    assert list(outcomes(b"".join(one.packed() for one in given))) == given


@pytest.mark.parametrize("kind", [TooManyImages, Overloaded, ModelFailed, DeviceLost, NotReady, Draining])
def test_errors_arrive_with_their_words_and_their_kind(kind: type[ServiceError]) -> None:
    (found,) = outcomes(SlotOutcome(5, error=kind("why: über", retry_after_s=2.5)).packed())
    assert (type(found.error), str(found.error), found.number) == (kind, "why: über", 5)
    assert found.error and found.error.retry_after_s == 2.5
    (found,) = outcomes(SlotOutcome(5, error=kind("x" * 10_000)).packed())
    assert found.error and found.error.retry_after_s is None and len(found.error.message) <= 2000


def test_an_error_that_has_no_place_arrives_as_the_nearest_that_has() -> None:
    for kind in (DecodeError, RequestError):
        (found,) = outcomes(SlotOutcome(5, error=kind("why")).packed())
        assert type(found.error) is ServiceError


@pytest.mark.parametrize("cut", [1, 20, 37])
def test_what_is_no_record_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="order"):
        list(orders(ORDERS[0].packed()[:cut]))
    with pytest.raises(ValueError, match="outcome"):
        list(outcomes(SlotOutcome(1).packed()[: cut - 8] or b"x"))
    with pytest.raises(ValueError, match="order"):
        list(orders(SlotOutcome(1, 1, 1.0).packed() * 3))
    with pytest.raises(ValueError, match="outcome"):
        list(outcomes(ORDERS[0].packed() * 3))
