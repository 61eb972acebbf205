"""Which variants of a version run: those that are asked for, or the fastest on this kind of device."""

from typing import Any

import pytest

from export.errors import ManifestError
from export.manifest import BODY, NATIVE, Manifest, Measured, Stem, Variant
from service.errors import StartError
from service.runtime import Running, choose, read_precisions


def measured(device: str, speedup: float) -> Measured:
    return Measured(device=device, processor="it", batch=8, speedup=speedup, images=9, agreement=1)


def variant(precision: Any, device: Any, speedup: float) -> Variant:
    return Variant(
        name=precision,
        file=f"{precision}.onnx",
        precision=precision,
        devices=(device,),
        measured=measured(device, speedup),
    )


INT8, FP16 = variant("int8", "cpu", 2.5), variant("fp16", "cuda", 1.8)
ON_CPU = Variant(name="cpu", file="cpu.onnx", devices=("cpu",), measured=measured("cpu", 1.4))
STEM = Variant(name=NATIVE, file=BODY, stem=Stem(output=(4, 8, 8)))


def manifest(*others: Variant, **more: Any) -> Manifest:
    variants = (Variant(), *others)
    return Manifest.model_validate(
        {
            "name": "net",
            "architecture": "any",
            "parameters": 1,
            "classes": ("a", "b"),
            "pixels": {"height": 8, "width": 8},
            "opset": 18,
            "variants": variants,
            "parity": {"batches": [1], "max_error": 0, "mean_error": 0, "top1_agreement": 1, "largest_logit": 1},
            "created": "2026-01-01T00:00:00Z",
            "files": {file: "0" * 64 for variant in variants for file in variant.files},
            **more,
        }
    )


def names(found: tuple[Variant, ...]) -> list[str]:
    return [variant.name for variant in found]


@pytest.mark.parametrize(
    ("device", "int8", "wanted"),
    [("cpu", True, "int8"), ("cpu", False, "default"), ("cuda", True, "fp16"), ("cuda", False, "fp16")],
)
def test_without_a_word_the_fastest_of_the_kind_of_device_runs(device: Any, int8: bool, wanted: str) -> None:
    assert names(choose(manifest(INT8, FP16), Running(), device, int8)) == [wanted]


def test_what_was_measured_slower_is_never_chosen_without_a_word() -> None:
    assert names(choose(manifest(variant("int8", "cpu", 0.9)), Running(), "cpu", True)) == ["default"]


def test_a_version_with_nothing_else_runs_whole() -> None:
    assert names(choose(manifest(), Running(), "cpu", True)) == ["default"]


def test_a_native_stem_that_was_chosen_is_not_replaced_by_int8() -> None:
    both = manifest(STEM, INT8, stem="native")
    assert names(choose(both, Running(), "cpu", True)) == ["native"]
    assert names(choose(both, Running("folded"), "cpu", True)) == ["int8"]
    assert names(choose(both, Running(precisions=("int8", "fp32")), "cpu", False)) == ["int8", "native"]


def test_several_are_taken_in_their_order_as_far_as_they_are_there() -> None:
    both = manifest(INT8, FP16)
    assert names(choose(both, Running(precisions=("fp32", "int8")), "cpu", False)) == ["default", "int8"]
    assert names(choose(both, Running(precisions=("fp16", "int8")), "cpu", False)) == ["int8"]
    assert names(choose(manifest(), Running(precisions=("int8", "fp32")), "cpu", True)) == ["default"]


def test_a_float32_graph_for_cpus_runs_on_cpus_alone() -> None:
    laid = manifest(ON_CPU)
    assert names(choose(laid, Running(), "cpu", True)) == ["cpu"]
    assert names(choose(laid, Running(), "cuda", True)) == ["default"]
    assert names(choose(laid, Running(precisions=("fp32",)), "cpu", True)) == ["cpu"]
    assert names(choose(laid, Running(precisions=("fp32",)), "cuda", True)) == ["default"]
    both = manifest(ON_CPU, INT8)
    assert names(choose(both, Running(), "cpu", True)) == ["int8"]
    assert names(choose(both, Running(), "cpu", False)) == ["cpu"]
    assert names(choose(both, Running(precisions=("fp32", "int8")), "cpu", True)) == ["cpu", "int8"]


def test_what_a_version_has_not_is_refused_and_the_setting_is_named() -> None:
    with pytest.raises(ManifestError, match=r"no int8 for this device \(cpu\).* fp32.*HARMONIC_SERVE_PRECISION=auto"):
        choose(manifest(), Running(precisions=("int8",)), "cpu", True)


def test_the_setting_is_read_in_its_order_each_once() -> None:
    assert read_precisions("auto") == ()
    assert read_precisions("int8,fp32,int8") == ("int8", "fp32")
    with pytest.raises(StartError, match="int4"):
        read_precisions("int4")
