"""Passes in step stop where they are told, with what the layers are given, and leave the network as it was."""

import threading

import pytest
import torch
from torch import nn

from harmonic.graph import Lockstep


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.second(self.relu(self.first(x)) + 1)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return [torch.randn(2, 2, 5, 5), torch.randn(3, 2, 5, 5)]


def passes_left():
    return [thread for thread in threading.enumerate() if thread.name == "lockstep"]


def stops(passes):
    while stop := passes.advance():
        yield stop


def test_every_pass_stops_with_what_hooks_see(net, batches):
    with Lockstep(net, batches, before=["first", "second"], after=["first"]) as passes:
        seen = [(stop.layer, [values.clone() for values in stop.values]) for stop in stops(passes)]
    assert [layer for layer, _ in seen] == ["first", "first", "second"]
    for number, batch in enumerate(batches):
        assert torch.equal(seen[0][1][number], batch)
        assert torch.equal(seen[1][1][number], net.first(batch))
        assert torch.equal(seen[2][1][number], net.first(batch).relu() + 1)
    assert not passes_left()


def test_a_layer_that_is_changed_at_a_stop_runs_changed(net, batches):
    with Lockstep(net, batches, before=["first"], after=["second"]) as passes:
        passes.advance()
        with torch.no_grad():
            net.first.weight.zero_()
        last = passes.advance()
    assert torch.equal(last.values[1], net(batches[1]))


def test_asking_a_layer_at_a_stop_is_no_pass(net, batches):
    with Lockstep(net, batches, before=["first"], after=["first"]) as passes:
        stop = passes.advance()
        asked = net.first(stop.values[0])
        assert torch.equal(passes.advance().values[0], asked)


def test_what_the_network_raises_is_raised_and_no_thread_stays(net):
    with pytest.raises(RuntimeError, match="channels"), Lockstep(net, [torch.zeros(1, 5, 5, 5)], ["first"]) as passes:
        passes.advance()
        passes.advance()
    assert not passes_left()


def test_passes_that_are_given_up_leave_neither_threads_nor_hooks(net, batches):
    with Lockstep(net, batches, before=["first", "second"]) as passes:
        passes.advance()
        assert len(passes_left()) == len(batches)
    assert not passes_left()
    assert not net.first._forward_pre_hooks
    assert not net.second._forward_pre_hooks


def test_a_network_that_keeps_every_exception_can_be_given_up(batches):
    class Stubborn(Net):
        def forward(self, x):
            try:
                return super().forward(x)
            except Exception:
                return x

    with Lockstep(Stubborn(), batches, before=["second"]) as passes:
        passes.advance()
    assert not passes_left()


def test_a_network_that_takes_several_ways_is_told(batches):
    class Fork(Net):
        def forward(self, x):
            return super().forward(x) if len(x) == 2 else x

    with pytest.raises(RuntimeError, match="several ways"), Lockstep(Fork(), batches, ["first"]) as passes:
        passes.advance()
