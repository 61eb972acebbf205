"""Every model that comes with the project is whole, small, and silent about the machine that made it."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from export.manifest import check_files, read_manifest
from export.runtime import ort

MODELS = Path(__file__).parents[2] / "models"
VERSIONS = sorted(path.parent for path in MODELS.glob("*/*/manifest.json"))
SMALL = [version for version in VERSIONS if version.parent.name in ("fourier", "hamming")]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.parent.name)
def test_it_is_whole_and_has_a_card(version):
    check_files(version, read_manifest(version))

    assert "## Limits" in (version / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("version", SMALL, ids=lambda path: path.parent.name)
def test_a_small_one_takes_at_most_five_megabytes(version):
    assert sum(path.stat().st_size for path in version.iterdir()) <= 5e6


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.parent.name)
def test_its_golden_answers_are_what_its_graph_gives_here(version):
    manifest = read_manifest(version)
    session = ort.InferenceSession(version / manifest.variant().file, providers=["CPUExecutionProvider"])

    with np.load(version / manifest.variant().goldens) as goldens:
        (logits,) = session.run([manifest.output], {manifest.input: goldens["images"]})
        assert np.abs(logits - goldens["logits"]).max() <= manifest.variant().tolerance


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.parent.name)
def test_it_has_no_transform_and_no_complex_number(version):
    graph = onnx.load(version / "model.onnx").graph

    assert not {"DFT", "STFT"} & {node.op_type for node in graph.node}
    assert not any(i.data_type in (14, 15) for i in graph.initializer)  # complex64, complex128
