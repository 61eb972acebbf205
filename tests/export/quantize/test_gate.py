"""The gate: what a variant may lose, and that it must be faster."""

import numpy as np
import pytest

from export.errors import ExportError
from export.quantize.gate import Judges, Loss, Speed, loss, opened, speed
from tests.support.graphs import pixels, residual

LOGITS = np.eye(4, dtype=np.float32).repeat(50, axis=0)  # the likeliest class of 200 images: 50 of each
LABELS = np.arange(4).repeat(50)


def _judged(wrong: int, labels: np.ndarray | None) -> Loss:
    found = LOGITS.copy()
    found[:wrong] = found[:wrong, ::-1]
    return loss(lambda images: found[images[:, 0]], Judges(np.arange(200)[:, None], LOGITS, labels))


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (1, True), (2, False)])
def test_of_labelled_images_top1_counts(wrong: int, passes: bool) -> None:
    lost = _judged(wrong, LABELS)
    assert lost.drop == pytest.approx(wrong / 2)
    assert (lost.refusal(0.5) == "") is passes
    if not passes:
        assert lost.refusal(0.5) == "it loses 1.00 points of top-1 on 200 labelled images; at most 0.5 are allowed"


@pytest.mark.parametrize(("wrong", "passes"), [(2, True), (3, False)])
def test_without_labels_agreement_counts_and_is_called_so(wrong: int, passes: bool) -> None:
    lost = _judged(wrong, None)
    assert lost.drop is None
    assert (lost.refusal(50.0) == "") is passes
    if not passes:
        assert "agrees with fp32 on 98.50% of 200 unlabelled images; 99% are wanted" in lost.refusal(50.0)


def test_a_variant_that_is_right_where_float32_is_wrong_loses_nothing() -> None:
    lost = loss(
        lambda images: LOGITS[images[:, 0]], Judges(np.arange(200)[:, None], np.roll(LOGITS, 30, axis=0), LABELS)
    )
    assert lost.drop is not None
    assert lost.drop < 0
    assert lost.refusal(0.0) == ""


@pytest.mark.parametrize(
    ("gain", "won", "passes"), [(1.4, 1.0, True), (1.05, 0.8, True), (1.05, 0.6, False), (0.9, 0.3, False)]
)
def test_faster_is_faster_in_most_pairs(gain: float, won: float, passes: bool) -> None:
    assert (Speed(gain, won, 8).refusal() == "") is passes


def test_pairs_are_timed_in_turns() -> None:
    calls: list[str] = []

    def run(name: str, work: int) -> object:
        def answer(images: np.ndarray) -> np.ndarray:
            calls.append(name)
            return np.zeros(work).cumsum()

        return answer

    measured = speed(run("slow", 2_000_000), run("quick", 10), pixels(), seconds=0.05)
    assert measured.gain > 1
    assert calls == ["slow", "quick"] * (len(calls) // 2)
    assert len(calls) >= 2 * 7


def test_a_device_that_is_not_there_is_no_silent_cpu(tmp_path) -> None:
    (tmp_path / "net.onnx").write_bytes(residual().SerializeToString())
    assert opened(tmp_path / "net.onnx")(pixels()).shape == (8, 2)
    with pytest.raises(ExportError, match="CUDAExecutionProvider"):
        opened(tmp_path / "net.onnx", "cuda")
