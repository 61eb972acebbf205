"""Shapes that signatures promise are held while the tests run; else the promises would be comments."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64, TypeCheckError, jaxtyped
from torch import Tensor, fx, nn

from export.verify import reference_logits
from harmonic.conversion.projection import energy_kept
from harmonic.layers import FourierConv2d, HarmonicConv2d, dct_bank
from harmonic.pixels import PixelSpec
from tests.support.house import ROOT
from tests.support.shapes import checked, unchecked

WRONG = [
    ("layers, dimensions", lambda: HarmonicConv2d(3, 4)(torch.zeros(3, 8, 8))),
    ("layers, equal sides", lambda: FourierConv2d(3, 4, taps=3, grid=8)(torch.zeros(1, 3, 8, 9))),
    ("layers, dtype", lambda: HarmonicConv2d(3, 4)(torch.zeros(1, 3, 8, 8, dtype=torch.int64))),
    ("conversion", lambda: energy_kept(torch.zeros(4, 3, 5, 5), dct_bank(3))),
    ("export", lambda: reference_logits(nn.Identity(), PixelSpec(height=8, width=8), np.zeros((2, 8, 8)))),
]


@pytest.mark.parametrize("wrong", [call for _, call in WRONG], ids=[what for what, _ in WRONG])
def test_a_wrong_shape_is_caught(wrong):
    with pytest.raises(TypeCheckError):
        wrong()


@jaxtyped(typechecker=checked)
def labelled(x: Float[Tensor, "n c"], labels: Int64[Tensor, " n"] | None, times: int = 1) -> Float[Tensor, " n"]:
    return x[:, 0] * times if labels is not None else x[0]


def test_arguments_and_answers_are_held_to_one_size():
    x, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    assert labelled(x, labels).shape == (3,)
    with pytest.raises(TypeCheckError, match="parameters"):
        labelled(x, labels[:2])
    with pytest.raises(TypeCheckError, match="return value"):
        labelled(x, None)


def test_other_types_are_left_to_the_errors_of_the_house():
    x, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    assert labelled(x, labels, times=0.5).shape == (3,)


def test_tracing_and_compiling_are_left_alone():
    class Named(nn.Module):
        def forward(self, x):
            return labelled(x, x)

    assert any(node.op == "call_function" for node in fx.Tracer().trace(Named()).nodes)
    with unchecked():
        assert labelled(torch.zeros(3, 2), None).shape == (2,)
    with pytest.raises(TypeCheckError):
        labelled(torch.zeros(3, 2), None)


def test_checking_that_begins_too_late_is_an_error():
    code = "import harmonic.layers; from tests.support.shapes import check_shapes; check_shapes()"
    late = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False, cwd=ROOT
    )
    assert "harmonic.layers was imported before" in late.stderr
