"""Feature maps of networks, to be compared."""

import torch

from tests.support.laws import randomised

STAGES = ("layer1", "layer2", "layer3", "layer4")


def image(size=32, count=2, other=None):
    return torch.randn(count, 3, size, other or size, generator=torch.Generator().manual_seed(3))


def hooked(model, layers, x):
    """What the network's own layers give while it runs."""
    seen = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name in layers
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return [seen[name] for name in layers]


def assert_same_maps(found, wanted):
    assert len(found) == len(wanted)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


def lively(model):
    torch.manual_seed(1)
    return randomised(model).eval()
