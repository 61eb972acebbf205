"""Half the work, the same answers; and answers where rounding has left a matrix that is not positive."""

import pytest
import torch

from harmonic.compression.symmetric import symmetric_inverse, symmetric_solution


@pytest.mark.parametrize("least", [1e-3, -1e-3])
def test_solutions_and_inverses_are_those_of_any_solver(least):
    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(2, 6, 6, dtype=torch.float64, generator=draw)).Q
    values = torch.tensor([least, 1, 2, 3, 4, 5], dtype=torch.float64)
    squares = turn @ torch.diag(values) @ turn.transpose(1, 2)
    wanted = torch.randn(2, 6, 3, dtype=torch.float64, generator=draw)
    assert torch.allclose(squares @ symmetric_solution(squares, wanted), wanted)
    assert torch.allclose(squares @ symmetric_inverse(squares), torch.eye(6, dtype=torch.float64))
