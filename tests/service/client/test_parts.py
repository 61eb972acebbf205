"""Many images in requests of the right size, a few at once, in order; the first error ends all."""

import asyncio

import pytest

from service.answers import Policy, VersionSummary
from service.client.errors import Rejected
from service.client.parts import KnownSizes, in_parts


def version(number, size):
    policy = Policy(max_size=size, window_ms=0, max_queue=256, deadline_ms=1, priority_levels=1, default_priority=1)
    return VersionSummary(version=number, state="ready", policy=policy)


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 4), (4, 4), (9, 4), (100, 1)])
async def test_the_answers_come_in_order_whatever_ends_first(count, size):
    parts, at_once, most = [], 0, 0

    async def ask(part):
        nonlocal at_once, most
        parts.append(len(part))
        at_once += 1
        most = max(most, at_once)
        for _ in range(10 - part[0] % 10):  # the later ones are done sooner
            await asyncio.sleep(0)
        at_once -= 1
        return [-each for each in part]

    assert await in_parts(range(count), size, 3, ask) == [-each for each in range(count)]
    assert sum(parts) == count
    assert all(part <= size for part in parts)
    assert most <= 3


async def test_an_error_ends_what_is_on_its_way_and_begins_nothing_more():
    ended, begun = [], []

    async def ask(part):
        begun.append(part[0])
        if part[0] == 1:
            raise Rejected("no", 400)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(part[0])

    with pytest.raises(Rejected):
        await in_parts(range(100), 1, 3, ask)
    assert begun == [0, 1, 2]
    assert sorted(ended) == [0, 2]


def test_a_request_is_as_large_as_every_version_that_may_answer_takes():
    sizes = KnownSizes()
    assert sizes.get("pets", None) is None
    assert sizes.learn("pets", None, [version(1, 32), version(2, 8)]) == 8
    assert sizes.learn("pets", 1, [version(1, 500)]) == 64
    sizes.shrink("pets", None, 5)
    sizes.shrink("pets", None, 7)
    assert (sizes.get("pets", None), sizes.get("pets", 1)) == (5, 64)


def test_of_a_model_that_nobody_describes_one_image_is_asked_about():
    sizes = KnownSizes()
    assert sizes.learn("pets", None, [VersionSummary(version=1, state="broken")]) == 1
    assert sizes.get("pets", None) is None


@pytest.mark.parametrize(
    ("code", "message", "smaller"),
    [
        ("too_many_images", "", True),
        ("body_too_large", "", True),
        ("", "65 images in one request; up to 64 are taken. Split the request.", True),
        ("", "unexpected shape", False),
        ("queue_full", "", False),
    ],
)
def test_only_what_smaller_requests_would_mend_is_cut(code, message, smaller):
    assert KnownSizes.too_large(Rejected(message, 400, code)) is smaller
