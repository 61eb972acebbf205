"""Where a layer stands in a network: one module may stand under several names."""

from torch import nn


def replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a layer, in the given network itself, wherever another one stands, so that all its names follow.

    The network is more than the old layer alone.
    """
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if module is old:
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, new)
