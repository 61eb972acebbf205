"""What a request may claim of its urgency, and that its key is known to those further in."""

import numpy as np
import pytest
from starlette.types import Receive, Scope, Send

from service.batching import Batcher, BatchPolicy
from service.config.keys import Key, Keyring, make
from service.engine import ANYBODY, Caller
from service.http.access import Access
from service.http.answering import caller_of

POLICY = BatchPolicy(priority_levels=5, default_priority=3)


@pytest.mark.parametrize(
    ("most_urgent", "asked", "level"),
    [
        (None, 1, 3),
        (None, 0, 3),
        (None, 5, 5),
        (2, 1, 2),
        (2, 2, 2),
        (2, 0, 3),
        (1, 1, 1),
        (5, 1, 3),
        (5, 99, 3),
    ],
)
async def test_a_key_claims_no_more_than_it_may(most_urgent, asked, level):
    assert await levels(Caller("dashboard", most_urgent), [asked]) == [level]


async def test_without_keys_anybody_may_claim_any_level():
    assert await levels(ANYBODY, [0, 1, 5, 6]) == [3, 1, 5, 3]


async def levels(caller: Caller, asked: list[int]) -> list[int]:
    """The levels that its tickets get."""
    batcher = Batcher([lambda rows: rows], np.zeros((1, 1), np.float32), POLICY)
    batcher.start()
    found = []
    for priority in asked:
        with batcher.reserve(1, None, priority, caller.most_urgent) as ticket:
            found.append(ticket.level)
    await batcher.drain()
    return found


@pytest.mark.parametrize("priority", [None, 2])
async def test_those_further_in_know_whose_request_it_is(priority):
    secret, key = make("dashboard", ["inference"])
    keyring = Keyring([Key(**key.model_dump(exclude={"priority"}), priority=priority)])
    seen: list[Caller] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(caller_of(scope))

    scope = {"type": "http", "path": "/v1/classify", "headers": [(b"authorization", f"Bearer {secret}".encode())]}
    await Access(app, keyring, lambda _: None)(scope, None, None)
    assert seen == [Caller("dashboard", priority)]
