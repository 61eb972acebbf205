"""The ONNX file: one file, dynamic batch, uint8 in, nothing of the machine that wrote it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision
from torch import nn

from export.emit import OPSET, emit
from export.errors import ExportError
from export.fold import fold
from export.runtime import ort
from export.verify import synthetic_images, verify
from harmonic import zoo
from harmonic.pixels import PixelSpec
from tests.support.laws import randomised, small_pixels, stand_in, stand_in_names

SMALL = PixelSpec(height=8, width=6)


# Folded, they are the networks of another family, which is emitted here; `fourier_mnist` is so, and is asked, in
# tests/e2e/test_evaluated_as_served.py.
ALIKE = {
    "fourier_mnist",
    "fourier_small",
    "harm1_resnet{depth}",
    "harm1_wrn{depth}_{width}",
    "plain_lesion",
    "resnet{depth}",
    "se_resnext{depth}_{cardinality}x{base}d",
    "stl10_wrn{depth}_{width}",
    "vgg{depth}",
    "vgg{depth}_bn",
    "wrn{depth}_{width}",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in stand_in_names()]
)
def test_onnx_runtime_gives_pytorchs_answers_at_every_batch(name: str, tmp_path: Path) -> None:
    model, spec = randomised(stand_in(name)).eval(), small_pixels(name)
    emit(fold(model), spec, tmp_path / "model.onnx")
    report = verify(model, spec, tmp_path / "model.onnx", [1, 2, 7, 16])
    assert report.top1_agreement == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def _tiny(spec: PixelSpec, classes: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(spec.channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


def test_the_graph_takes_bytes_and_names_its_ends(tmp_path: Path) -> None:
    emit(_tiny(SMALL), SMALL, tmp_path / "model.onnx")
    (taken,), (given,) = _session(tmp_path).get_inputs(), _session(tmp_path).get_outputs()
    assert (taken.name, taken.type, taken.shape) == ("images", "tensor(uint8)", ["batch", 8, 6, 3])
    assert (given.name, given.type, given.shape) == ("logits", "tensor(float)", ["batch", 3])


def test_a_grey_model_takes_one_channel(tmp_path: Path) -> None:
    spec = PixelSpec(height=8, width=8, mode="L", mean=(0.1,), std=(0.3,))
    emit(_tiny(spec), spec, tmp_path / "model.onnx")
    assert _session(tmp_path).run(None, {"images": synthetic_images(5, spec)})[0].shape == (5, 3)


def test_normalisation_is_inside_the_graph(tmp_path: Path) -> None:
    spec = PixelSpec(height=2, width=2, mean=(0.5, 0.25, 0.75), std=(0.5, 0.1, 0.2))
    emit(nn.Flatten(), spec, tmp_path / "model.onnx")
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3) * 20
    (found,) = _session(tmp_path).run(None, {"images": pixels})
    expected = ((pixels / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2).reshape(1, -1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_file_says_nothing_of_the_machine_that_wrote_it(tmp_path: Path) -> None:
    emit(fold(zoo.create("harm_wrn10_1", 3)), zoo.find("harm_wrn10_1").pixels, tmp_path / "model.onnx")
    assert str(Path(__file__).parents[2]).encode() not in (tmp_path / "model.onnx").read_bytes()
    model = onnx.load(tmp_path / "model.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]


class _MixesTheBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)[:, :3]


def test_every_family_that_is_left_to_the_slow_tests_is_one() -> None:
    assert ALIKE.issubset(stand_in_names())


def test_pooling_over_the_image_is_a_mean_and_nothing_else(tmp_path: Path) -> None:
    emit(torchvision.models.resnet18(num_classes=3), PixelSpec(height=32, width=32), tmp_path / "model.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "ReduceMean" in operators or "GlobalAveragePool" in operators
    assert not {"Gather", "Range", "Shape"} & operators


def test_a_network_that_fixes_the_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        emit(_MixesTheBatch(), SMALL, tmp_path / "model.onnx")


def _session(folder: Path) -> ort.InferenceSession:
    return ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
