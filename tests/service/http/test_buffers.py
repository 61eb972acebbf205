import pytest

from service.errors import Overloaded
from service.http.buffers import Buffers

MIB = 2**20


def test_shares_are_bounded_together_and_given_back():
    buffers = Buffers(1000)
    with buffers.share() as first, buffers.share() as second:
        first.take(600)
        second.take(400)
        with pytest.raises(Overloaded):
            second.take(1)
        first.give(1)
        second.take(1)
    assert buffers.held == 0


def test_a_share_is_given_back_when_the_last_holder_lets_go():
    buffers = Buffers(1000)
    with buffers.share() as share:
        share.take(10)
        share.hold()
        share.hold()
    assert buffers.held == 10
    share.drop()
    assert buffers.held == 10
    share.drop()
    assert buffers.held == 0


def test_large_bodies_leave_room_for_small_ones():
    buffers = Buffers(80 * MIB)
    with buffers.share() as large, buffers.share() as small:
        large.take(70 * MIB)
        with pytest.raises(Overloaded):
            large.take(1)
        small.take(MIB)
