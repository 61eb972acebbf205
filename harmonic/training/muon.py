"""Muon: filters turn along orthogonal directions, each direction by the same angle; all other parameters follow SGD.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Here a step is a share of the
filters' own length, and that length stays: behind filters of a fixed length stands a norm, or a layer that learns it.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # steepest at 0 among those that bring every singular value near 1
_ROUNDS = 5


class Muon(Optimizer):
    """SGD with Nesterov's momentum, and for groups with `turned` the orthogonal form of its steps.

    groups: as PyTorch's, `lr`, `momentum` and `weight_decay` in each or as given here. turned: parameters of two
    dimensions or more, the first counts filters; `lr` is then the share of their length that a step is long, and
    `weight_decay` is without meaning.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, momentum: float, weight_decay: float = 0.0, turned: bool = False
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "turned": turned})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        if gradient is None:
            return
        if not group["turned"] and group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(gradient)
        wanted = gradient.add(momentum, alpha=group["momentum"])
        if not group["turned"]:
            parameter.sub_(wanted, alpha=group["lr"])
            return
        length = parameter.norm()
        direction = orthogonal(wanted.flatten(1)).view_as(parameter)
        parameter.sub_(direction * (length / direction.norm().clamp(min=1e-12)), alpha=group["lr"])
        parameter.mul_(length / parameter.norm().clamp(min=1e-12))


def orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """About U V' of a matrix U S V': every singular value comes to lie near 1, between about 0.7 and 1.2.

    By a polynomial of odd powers, in bfloat16: no decomposition.
    """
    a, b, c = _POLYNOMIAL
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        squared = x @ x.T
        x = a * x + (b * squared + c * (squared @ squared)) @ x
    turned: Tensor = x.T if tall else x
    return turned.to(matrix.dtype)
