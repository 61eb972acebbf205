"""Fine-tuning by depth: the last layer learns first and fastest, the first layer last and slowest."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from harmonic.errors import RecipeError
from harmonic.training.recipe import FinetuneSection, TrainSection


def depths(network: nn.Module) -> list[tuple[nn.Module, float]]:
    """The modules with parameters of their own, in the network's order, and how deep they lie: 0 is the first layer,
    1 the last. A norm lies with the layer before it."""
    layers, found = -1, list[tuple[nn.Module, int]]()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        layers += any(parameter.ndim > 1 for parameter in own)
        if own or isinstance(module, _BatchNorm):
            found.append((module, max(layers, 0)))
    last = max(layers, 1)
    return [(module, number / last) for module, number in found]


class Thawing:
    """Which layers of a network learn, and how fast, by the epoch."""

    def __init__(self, network: nn.Module, section: FinetuneSection) -> None:
        self._section, self._depths = section, depths(network)

    def groups(self, section: TrainSection) -> list[dict[str, Any]]:
        """Parameters by rate and weight decay, for the optimiser."""
        groups = dict[tuple[float, float], list[nn.Parameter]]()
        for module, depth in self._depths:
            rate = section.rate * self._section.lowest_rate ** (1 - depth)
            for parameter in module.parameters(recurse=False):
                decay = section.weight_decay if parameter.ndim > 1 or section.decay_norms else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        return [{"params": own, "lr": rate, "weight_decay": decay} for (rate, decay), own in groups.items()]

    def frozen(self, epoch: int) -> list[nn.Module]:
        """The modules whose own parameters stay as they are in this epoch, counted from 0, and whose norms' statistics
        do."""
        plan = self._section
        since = epoch - plan.head_epochs
        thawed = 0.0 if since < 0 else min(1.0, (since + 1) / (plan.thaw_epochs + 1))
        return [
            module
            for module, depth in self._depths
            if depth < 1 - thawed or (plan.freeze_norms and isinstance(module, _BatchNorm))
        ]


def freeze(modules: list[nn.Module]) -> None:
    """Norms among these use the statistics that they have."""
    for module in modules:
        if isinstance(module, _BatchNorm):
            module.eval()


def forget_gradients(modules: list[nn.Module]) -> None:
    """What has no gradient is left alone by an optimiser: no step, no decay, no momentum."""
    for module in modules:
        for parameter in module.parameters(recurse=False):
            parameter.grad = None


def must_fit(section: FinetuneSection, epochs: int) -> None:
    """RecipeError where the first layers would never learn."""
    if section.head_epochs + section.thaw_epochs >= epochs and (section.head_epochs or section.thaw_epochs):
        raise RecipeError(
            f"finetune.head_epochs = {section.head_epochs} and finetune.thaw_epochs = {section.thaw_epochs} leave none "
            f"of {epochs} epochs in which every layer learns. Lower them, or raise train.epochs."
        )
