"""Another precision beside a version that is published already."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.again import Again, export_again, is_version
from export.errors import ExportError
from export.manifest import MANIFEST, Manifest, Variant, check_files, read_manifest, sha256
from export.quantize import Speed
from export.weights import in_16_bits
from harmonic.pixels import PixelSpec
from tests.support.commands import refused
from tests.support.graphs import answer, pixels, residual
from tests.support.textures import write_textures


def _faster(*_: object) -> Speed:
    return Speed(1.7, 1.0, 8)


def _slower(*_: object) -> Speed:
    return Speed(0.8, 0.1, 8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("images"), classes=2, each=60, side=6)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder, model = tmp_path / "first" / "net" / "4", residual()
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    np.savez_compressed(folder / "golden.npz", images=pixels(), logits=answer(model, pixels()))
    (folder.parent / "config.pbtxt").write_text("name: net")
    manifest = Manifest(
        name="net",
        architecture="residual",
        parameters=1,
        classes=("texture0", "texture1"),
        pixels=PixelSpec(height=6, width=6),
        opset=18,
        variants=(Variant(),),
        parity={"batches": [1], "max_error": 0, "mean_error": 0, "top1_agreement": 1, "largest_logit": 3},
        created="2026-01-01T00:00:00+00:00",
        files={path.name: sha256(path) for path in folder.iterdir()},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def _order(version: Path, images: Path, **other: object) -> Again:
    repository = version.parents[2] / "second"
    return Again(version, repository, "net", ("fp32", "int8"), [images], [images], 100.0, race=_faster, **other)


def test_the_next_version_has_the_same_graph_and_another_precision(version: Path, images: Path) -> None:
    before = {path.name: path.read_bytes() for path in version.iterdir()}
    published = export_again(_order(version, images))
    manifest = read_manifest(published.folder)
    check_files(published.folder, manifest)
    assert [variant.name for variant in manifest.variants] == ["default", "int8"]
    assert (published.folder / "model.onnx").read_bytes() == before["model.onnx"]
    assert {path.name: path.read_bytes() for path in version.iterdir()} == before
    assert (published.folder.parent / "config.pbtxt").read_text() == "name: net"
    assert is_version(published.folder)


def test_weights_that_lie_there_in_16_bits_are_read_as_float32(
    version: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.weights._SMALLEST", 1)
    path = version / "model.onnx"
    onnx.save(in_16_bits(onnx.load(path)), path)
    manifest = read_manifest(version)
    files = manifest.files | {path.name: sha256(path)}
    (version / MANIFEST).write_text(manifest.model_copy(update={"files": files}).model_dump_json())
    published = export_again(_order(version, images))
    assert (published.folder / "model.onnx").read_bytes() == path.read_bytes()
    kept = {tensor.data_type for tensor in onnx.load(published.folder / "int8.onnx").graph.initializer}
    assert TensorProto.INT8 in kept
    assert TensorProto.FLOAT16 not in kept


def test_a_precision_that_is_there_already_is_made_anew(version: Path, images: Path) -> None:
    first = export_again(_order(version, images))
    second = export_again(_order(first.folder, images))
    assert (first.version, second.version) == (1, 2)
    assert [variant.name for variant in read_manifest(second.folder).variants] == ["default", "int8"]


def test_what_is_refused_publishes_no_version(version: Path, images: Path) -> None:
    order = Again(version, version.parents[2] / "second", "net", ("int8",), [images], race=_slower)
    with pytest.raises(ExportError, match="no int8: it "):
        export_again(order)
    assert not (version.parents[2] / "second" / "net").exists()


def test_float32_alone_is_nothing_new(version: Path) -> None:
    with pytest.raises(ExportError, match="Give --precision int8"):
        export_again(Again(version, version.parents[2], "net", ("fp32",), []))


def test_the_command_takes_a_version_and_says_what_stays(version: Path, images: Path) -> None:
    given = ("export", version, "--name", "net", "--repository", version.parents[2] / "second")
    assert "all but its precisions stays" in refused(*given, "--max-batch", 3)
    assert "give --calibration" in refused(*given, "--precision", "int8")
    assert "is none of fp32, fp16, int8" in refused(*given, "--precision", "int4")
