"""Bounds of memory: how they are written, what exceeds them, what each of several workers gets."""

import pytest
from pydantic import ValidationError

from service.config import Bounds, Settings, share_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("800M", 800 * 10**6),
        ("64KB", 64_000),
        ("4096", 4096),
        ("1TiB", 2**40),
    ],
)
def test_memory_is_written_as_people_write_it(text, number):
    assert Settings(max_memory=text).bounds() == Bounds(None, number)


@pytest.mark.parametrize("text", ["", "0", "-1GB", "much", "2 gigabytes", "GB", "1e9", "0.5GB", "1..5GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValidationError, match="max_memory"):
        Settings(max_memory=text)


def test_without_a_bound_nothing_is_exceeded_and_each_bound_holds_alone():
    assert not Bounds() and not Bounds().exceeded([10**15] * 1000)
    assert Bounds(models=2) and not Bounds(models=2).exceeded([5, 5]) and Bounds(models=2).exceeded([0, 0, 0])
    assert not Bounds(memory_bytes=10).exceeded([5, 5]) and Bounds(memory_bytes=10).exceeded([5, 6])


def test_workers_share_the_memory_out_and_have_so_many_places_each():
    share = share_of(Settings(max_memory="2GB", max_models=3), 4)
    assert share.bounds() == Bounds(3, 500_000_000)
    assert share_of(Settings(), 4).bounds() == Bounds()
