"""A layer is replaced under every name that it has."""

from torch import nn

from harmonic.places import replace


def test_every_name_of_a_layer_follows():
    shared, other = nn.Linear(2, 2), nn.Linear(2, 2)
    inner = nn.Sequential(shared, other)
    network = nn.ModuleDict({"first": shared, "inner": inner, "inner_again": inner})
    new = nn.Identity()
    replace(network, shared, new)
    names = [name for name, layer in network.named_modules(remove_duplicate=False) if layer is new]
    assert names == ["first", "inner.0", "inner_again.0"]
    assert network["inner"][1] is other
    assert shared not in network.modules()
