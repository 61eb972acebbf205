"""A graph for CPUs is a variant of its own: the whole net stays as it was for everybody else."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.emit import emit
from export.errors import ParityError
from export.layout import places, possible_forms
from export.layout.lay import own_memory
from export.layout.memory import shape
from export.manifest import ParityReport, Variant
from export.variants import narrow_weights, write_cpu_variant
from export.verify import reference_logits, synthetic_images, whole_net
from harmonic.pixels import PixelSpec
from tests.support.convolutions import slowed

SPEC, WIDE = PixelSpec(height=8, width=8), 96
BATCHES = (1, 3)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, WIDE, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDE, WIDE, 3, padding=1), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDE * 64, 5)).eval()


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """The network's graph; tiles of four are remembered to be fastest for its wide layer."""
    path = tmp_path_factory.mktemp("graphs") / "model.onnx"
    emit(_network(), SPEC, path)
    made = onnx.load(path)
    convolution = places(made)[-1].convolution
    times = {form: [0.1 if form == "winograd_4x4" else 1.0] * 2 for form in possible_forms(convolution)}
    own_memory().keep(shape(convolution, tiles=True), times)
    return made


def test_a_graph_for_cpus_is_held_to_pytorch_and_says_what_it_gains(fused: onnx.ModelProto, tmp_path: Path) -> None:
    network = _network()
    onnx.save(slowed(fused), tmp_path / "model.onnx")
    before = (tmp_path / "model.onnx").read_bytes()
    (variant,) = write_cpu_variant(network, SPEC, tmp_path, BATCHES, fused, print)
    assert (variant.name, variant.file, variant.precision, variant.devices) == ("cpu", "cpu.onnx", "fp32", ("cpu",))
    assert variant.measured is not None
    assert variant.measured.speedup > 1
    assert variant.plan is not None
    assert [layer.form for layer in variant.plan.layers] == ["winograd_4x4"]
    assert variant.parity is not None
    assert variant.parity.batches == BATCHES
    images = synthetic_images(3, SPEC, seed=1)
    found, expected = whole_net(tmp_path / "cpu.onnx")(images), reference_logits(network, SPEC, images)
    assert np.abs(found - expected).max() <= variant.tolerance / 10
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_a_graph_that_answers_otherwise_than_pytorch_is_taken_away_again(
    fused: onnx.ModelProto, tmp_path: Path
) -> None:
    network, told = _network(), list[str]()
    with torch.no_grad():
        network[0].weight.mul_(1.01)
    onnx.save(slowed(fused), tmp_path / "model.onnx")
    assert write_cpu_variant(network, SPEC, tmp_path, BATCHES, fused, told.append) == ()
    assert "not published" in told[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_weights_that_16_bits_ruin_are_refused(tmp_path: Path) -> None:
    """Classes that differ by what float16 rounds away of large weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5)).eval()
    with torch.no_grad():
        network[1].weight.copy_(1000 + 0.01 * torch.randn(5, 3 * 64))
    emit(network, SPEC, tmp_path / "model.onnx")
    with pytest.raises(ParityError, match="--weights fp32"):
        narrow_weights(network, SPEC, tmp_path, BATCHES, [Variant()])


def test_what_16_bits_move_widens_the_tolerance_of_every_whole_net(tmp_path: Path) -> None:
    network = _network()
    for name in ("model.onnx", "cpu.onnx", "int8.onnx"):
        emit(network, SPEC, tmp_path / name)
    before = (tmp_path / "int8.onnx").read_bytes()
    parity = ParityReport(batches=BATCHES, max_error=0, mean_error=0, top1_agreement=1, largest_logit=1)
    given = (
        Variant(tolerance=1e-4),
        Variant(name="cpu", file="cpu.onnx", tolerance=1e-4, parity=parity),
        Variant(name="int8", file="int8.onnx", precision="int8", tolerance=1e-4),
    )
    (whole, cpu, int8), report = narrow_weights(network, SPEC, tmp_path, BATCHES, given)
    assert whole.tolerance == cpu.tolerance == 1e-4 + 2 * report.max_error > 1e-4
    assert (whole.parity, cpu.parity) == (None, report)
    assert int8 == given[2]
    assert (tmp_path / "int8.onnx").read_bytes() == before
