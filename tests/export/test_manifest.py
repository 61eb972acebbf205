"""A manifest is believed only when it is complete and its files are the ones it names."""

import json
from pathlib import Path
from typing import Any

import pytest

from export.errors import ManifestError
from export.manifest import Manifest, check_files, read_manifest, sha256


def _facts(**changes: Any) -> dict[str, Any]:
    zeros = "0" * 64
    return {
        "name": "net",
        "architecture": "harm_wrn10_1",
        "parameters": 53_274,
        "classes": ["cat", "dog"],
        "pixels": {"height": 32, "width": 32},
        "opset": 18,
        "variants": [{}],
        "parity": {"batches": [1], "max_error": 0.0, "mean_error": 0.0, "top1_agreement": 1.0, "largest_logit": 3.0},
        "created": "2026-01-01T00:00:00+00:00",
        "files": {"model.onnx": zeros, "golden.npz": zeros},
        **changes,
    }


def _version(folder: Path, facts: Any) -> Path:
    (folder / "manifest.json").write_text(facts if isinstance(facts, str) else json.dumps(facts))
    return folder


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    manifest = read_manifest(_version(tmp_path, _facts()))
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert manifest.variant().file == "model.onnx"


def test_a_manifest_without_a_word_about_stems_is_folded(tmp_path: Path) -> None:
    manifest = read_manifest(_version(tmp_path, _facts()))
    assert manifest.stem == "folded"
    assert manifest.variant().stem is None


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ("", "JSON"),
        ("[]", "should be an object"),
        (_facts(schema_version=99), "schema 99"),
        (_facts(schema_version=4, what_is_new=1), "schema 4; this build reads 1 to 3. A newer version of this package"),
        (_facts(colour="red"), "colour"),
        (_facts(certainty={"probability": 1.1, "precision": 0.95, "images": 40}), "probability"),
        (_facts(classes=["only"]), "classes"),
        (_facts(classes=["same", "same"]), "distinct"),
        (_facts(files={"model.onnx": "0" * 64}), "without a checksum"),
        (_facts(variants=[{"stem": {"output": [4, 8, 8]}}]), "has no stem"),
        (_facts(stem="native"), "no variant 'native'"),
        (_facts(variants=[{}, {"name": "native", "stem": {"output": [4, 8, 8]}}]), r"stem\.safetensors"),
        (_facts(files={"../model.onnx": "0" * 64, "golden.npz": "0" * 64}), "files"),
        (_facts(variants=[{"name": "int8"}]), "default"),
        (_facts(variants=[{"file": "/etc/passwd"}]), "file"),
        (_facts(pixels={"height": 0, "width": 32}), "height"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place(tmp_path: Path, facts: Any, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        read_manifest(_version(tmp_path, facts))


def test_a_missing_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_changed_or_missing_file_is_found_out(tmp_path: Path) -> None:
    for name in ("model.onnx", "golden.npz"):
        (tmp_path / name).write_bytes(b"content")
    manifest = Manifest.model_validate(_facts(files={n: sha256(tmp_path / n) for n in ("model.onnx", "golden.npz")}))
    check_files(tmp_path, manifest)
    (tmp_path / "model.onnx").write_bytes(b"Content")
    with pytest.raises(ManifestError, match="was changed"):
        check_files(tmp_path, manifest)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ManifestError, match="cannot be read"):
        check_files(tmp_path, manifest)


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(ManifestError, match=r"\['default'\]"):
        Manifest.model_validate(_facts()).variant("int8")


def test_a_manifest_is_written_in_the_oldest_schema_that_can_say_it() -> None:
    sure = {"probability": 0.8, "precision": 0.95, "images": 40}
    plain, certain = (Manifest(**_facts(**more)) for more in ({}, {"certainty": sure}))
    assert [json.loads(manifest.written())["schema_version"] for manifest in (plain, certain)] == [1, 3]
    assert (plain.certain_from, certain.certain_from) == (None, 0.8)
    assert Manifest.model_validate_json(certain.written()).certainty == certain.certainty
