"""A graph that answers otherwise is found out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.emit import emit
from export.errors import ParityError
from export.verify import synthetic_images, verify
from harmonic.pixels import PixelSpec

SPEC = PixelSpec(height=8, width=8)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()


def test_equal_networks_pass_with_a_full_report(tmp_path: Path) -> None:
    network = _network()
    emit(network, SPEC, tmp_path / "model.onnx")
    report = verify(network, SPEC, tmp_path / "model.onnx", [1, 2, 7])
    assert report.batches == (1, 2, 7)
    assert 0 <= report.mean_error <= report.max_error < 1e-5
    assert report.top1_agreement == 1.0


def test_a_weight_off_by_one_percent_is_found_out(tmp_path: Path) -> None:
    network = _network()
    emit(network, SPEC, tmp_path / "model.onnx")
    with torch.no_grad():
        network[0].weight.mul_(1.01)
    with pytest.raises(ParityError, match="differ by"):
        verify(network, SPEC, tmp_path / "model.onnx", [1, 2])


def test_an_answer_that_is_no_number_is_found_out(tmp_path: Path) -> None:
    network = _network()
    with torch.no_grad():
        network[3].bias[0] = torch.nan
    emit(network, SPEC, tmp_path / "model.onnx")
    with pytest.raises(ParityError, match="nan"):
        verify(network, SPEC, tmp_path / "model.onnx", [1])


def test_synthetic_images_are_seeded_and_use_the_whole_range() -> None:
    images = synthetic_images(8, SPEC, seed=3)
    assert np.array_equal(images, synthetic_images(8, SPEC, seed=3))
    assert not np.array_equal(images, synthetic_images(8, SPEC, seed=4))
    assert images.min() < 30 and images.max() > 225
