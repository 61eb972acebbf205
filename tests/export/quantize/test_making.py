"""A precision is laid beside a version if it keeps what it must and is faster; else nothing of it is there."""

from pathlib import Path

import numpy as np
import pytest

from export.errors import ExportError
from export.quantize import Material, Race, Speed, lay, parse_precisions
from export.runtime import ort, session_options
from tests.support.graphs import answer, pixels, residual

MODEL = residual()
JUDGED = pixels(200, seed=2)
LOGITS = answer(MODEL, JUDGED)
ON_CPU_ALONE = pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="there is a GPU to measure on"
)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(MODEL.SerializeToString())
    np.savez_compressed(tmp_path / "golden.npz", images=pixels(), logits=answer(MODEL, pixels()))
    return tmp_path


def _faster(*_: object) -> Speed:
    return Speed(1.7, 1.0, 8)


def _slower(*_: object) -> Speed:
    return Speed(0.8, 0.1, 8)


def _in_turn(*gains: float) -> Race:
    """A race that ends so, one call after the other."""
    left = iter(gains)
    return lambda *_: Speed(next(left), 1.0, 8)


def _material(which: slice = slice(200), labels: np.ndarray | None = None) -> Material:
    return Material(pixels(64, seed=5), JUDGED[which], labels)


def test_int8_is_laid_with_its_own_goldens_and_what_was_measured(version: Path) -> None:
    right = LOGITS[:200].argmax(axis=1)
    (variant,), refused = lay(("fp32", "int8"), version, _material(labels=right), lambda _: None, 3.0, _faster)
    assert refused == ()
    assert (variant.name, variant.precision, variant.devices) == ("int8", "int8", ("cpu",))
    measured = variant.measured
    assert measured is not None
    assert (measured.speedup, measured.images, measured.device) == (1.7, 200, "cpu")
    assert measured.drop is not None
    assert 0 <= measured.drop <= 3.0
    with np.load(version / variant.goldens) as goldens:
        session = ort.InferenceSession(version / variant.file, session_options(), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"images": goldens["images"]})
        assert np.abs(found - goldens["logits"]).max() <= variant.tolerance
        assert np.abs(answer(MODEL, goldens["images"]) - goldens["logits"]).max() > 0
    spread = float(np.ptp(LOGITS))
    assert variant.tolerance < 0.02 * spread


@pytest.mark.parametrize(("gain", "taken"), [(1.3, "fused"), (0.8, "factored")])
def test_int8_is_made_of_the_layout_whose_int8_is_faster(version: Path, gain: float, taken: str) -> None:
    told, layouts = list[str](), {"factored": MODEL, "fused": MODEL}
    right = _material(labels=LOGITS.argmax(axis=1))
    (variant,), _ = lay(("int8",), version, right, told.append, 3.0, _in_turn(gain, 1.7), layouts)
    assert variant.layout == taken
    assert variant.measured is not None
    assert variant.measured.speedup == 1.7
    assert told[0] == f"int8 fused runs at {gain:.2f} times the speed of int8 factored here"


def test_where_the_faster_layout_loses_too_much_the_other_is_taken(version: Path) -> None:
    backwards = np.array([[-1.0, 0.4, -0.2, 0.9], [1.0, -0.4, 0.2, -0.9]])
    layouts = {"factored": residual(head=backwards), "fused": MODEL}  # as if 8 bits could not tell the first
    right = _material(labels=LOGITS.argmax(axis=1))
    (variant,), refused = lay(("int8",), version, right, lambda _: None, 3.0, _in_turn(0.5, 1.7), layouts)
    assert refused == ()
    assert variant.layout == "fused"


def test_what_is_slower_is_left_out_with_its_file(version: Path) -> None:
    told: list[str] = []
    laid, (refused,) = lay(("int8",), version, _material(), told.append, race=_slower)
    assert laid == ()
    assert refused.reason == "it runs at 0.80 times the speed of fp32 here, and has to be faster"
    assert {path.name for path in version.iterdir()} == {"model.onnx", "golden.npz"}
    assert told[-1] == f"int8 is not published: {refused.reason}"


def test_what_loses_too_much_is_left_out_after_every_try(version: Path) -> None:
    told: list[str] = []
    right = _material(slice(60), LOGITS[:60].argmax(axis=1))
    laid, (refused,) = lay(("int8",), version, right, told.append, -1.0, _faster)
    assert laid == ()
    assert "points of top-1 on 60 labelled images; at most -1 are allowed" in refused.reason
    assert [line for line in told if "int8 with 0 of 5 layers" in line]
    assert [line for line in told if "int8 with 4 of 5 layers" in line]
    assert not (version / "int8.onnx").exists()


@ON_CPU_ALONE
def test_fp16_is_not_published_where_no_gpu_can_measure_it(version: Path) -> None:
    laid, (refused,) = lay(("fp16",), version, _material(), lambda _: None, race=_faster)
    assert laid == ()
    assert "it is for GPUs, and has to be measured on one" in refused.reason
    assert not (version / "fp16.onnx").exists()


def test_precisions_are_read_in_one_order_each_once() -> None:
    assert parse_precisions("int8, fp32,int8") == ("fp32", "int8")
    with pytest.raises(ExportError, match=r"'int4' is none of fp32, fp16, int8"):
        parse_precisions("fp32,int4")
