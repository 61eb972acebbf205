"""Equations of matrices that are symmetric and positive, but for rounding, at half the usual work."""

import torch
from jaxtyping import Float
from torch import Tensor


def symmetric_solution(
    squares: Float[Tensor, "groups r r"], wanted: Float[Tensor, "groups r o"]
) -> Float[Tensor, "groups r o"]:
    """X of squares @ X = wanted."""
    triangle, failed = torch.linalg.cholesky_ex(squares)
    found: Tensor = torch.linalg.solve(squares, wanted) if failed.any() else torch.cholesky_solve(wanted, triangle)
    return found


def symmetric_inverse(squares: Float[Tensor, "groups r r"]) -> Float[Tensor, "groups r r"]:
    """X of squares @ X = 1."""
    triangle, failed = torch.linalg.cholesky_ex(squares)
    found: Tensor = torch.linalg.inv(squares) if failed.any() else torch.cholesky_inverse(triangle)
    return found
