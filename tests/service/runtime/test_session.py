"""Where sessions are placed, and what a device list means."""

import pytest

from service.config import read_settings
from service.errors import StartError
from service.runtime.device import Device, read_devices
from service.runtime.placement import Placement
from service.runtime.providers import CPU, CUDA, TENSORRT, GpuOptions
from service.runtime.session import place


def test_several_devices_are_several_placements():
    placement = Placement(read_devices("cuda:0,cuda:2").each, 3, GpuOptions(tf32=True))
    assert [(str(one), one.first.number, one.threads) for one in placement.each()] == [
        ("cuda:0", 0, 3),
        ("cuda:2", 2, 3),
    ]
    assert all(one.gpu.tf32 for one in placement.each())
    assert (placement.provider, str(placement)) == (CUDA, "cuda:0,cuda:2")


def test_the_provider_that_must_be_in_force_follows_from_the_settings(tmp_path):
    assert Placement((Device("cpu"),), 1, GpuOptions(tensorrt_cache=tmp_path)).provider == CPU
    assert Placement((Device("cuda"),), 1, GpuOptions(tensorrt_cache=tmp_path)).provider == TENSORRT


def test_settings_reach_the_options(monkeypatch, tmp_path):
    for name, value in {
        "CONV_SEARCH": "exhaustive",
        "NHWC": "1",
        "TF32": "true",
        "CUDA_GRAPHS": "yes",
        "ARENA": "as-requested",
        "GPU_MEMORY_BYTES": "1073741824",
        "TENSORRT_CACHE": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"HARMONIC_SERVE_{name}", value)
    assert read_settings().gpu() == GpuOptions(
        conv_search="exhaustive",
        nhwc=True,
        tf32=True,
        graphs=True,
        arena="as-requested",
        memory_bytes=2**30,
        tensorrt_cache=tmp_path,
    )


def test_options_of_gpus_mean_nothing_on_the_cpu():
    assert place(read_devices("cpu"), 2, None, GpuOptions(graphs=True)) == Placement((Device("cpu"),), 2)


def test_an_installation_without_cuda_is_named(tmp_path):
    from export.runtime import ort

    if CUDA in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(StartError, match=r"has no CUDA.*harmonic-inference\[gpu\]"):
        place(read_devices("cuda:0,cuda:1"), 1, None, GpuOptions(tensorrt_cache=tmp_path))
