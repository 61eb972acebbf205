from dataclasses import replace
from pathlib import Path

import pytest

from service.runtime.device import Device
from service.runtime.providers import (
    CPU,
    CUDA,
    TENSORRT,
    GpuOptions,
    Profile,
    buckets,
    for_precision,
    providers,
    wanted,
)


def test_the_cpu_takes_no_options():
    assert providers(Device("cpu"), GpuOptions(graphs=True)) == [(CPU, {})]


def test_cuda_stands_before_the_cpu_with_every_default_spelt_out():
    (name, options), fallback = providers(Device("cuda", 1), GpuOptions())
    assert (name, fallback) == (CUDA, (CPU, {}))
    assert options == {
        "device_id": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "prefer_nhwc": "0",
        "use_tf32": "0",
        "enable_cuda_graph": "0",
        "arena_extend_strategy": "kNextPowerOfTwo",
    }


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"conv_search": "exhaustive"}, "cudnn_conv_algo_search", "EXHAUSTIVE"),
        ({"nhwc": True}, "prefer_nhwc", "1"),
        ({"tf32": True}, "use_tf32", "1"),
        ({"graphs": True}, "enable_cuda_graph", "1"),
        ({"arena": "as-requested"}, "arena_extend_strategy", "kSameAsRequested"),
        ({"memory_bytes": 2**31}, "gpu_mem_limit", "2147483648"),
    ],
)
def test_every_option_reaches_cuda_under_its_name(change, name, value):
    options = dict(providers(Device("cuda"), replace(GpuOptions(), **change)))
    assert options[CUDA][name] == value
    assert options[CUDA]["device_id"] == "0"


@pytest.mark.parametrize(
    ("precision", "asked", "tensor_cores"), [("fp32", False, "0"), ("fp32", True, "1"), ("fp16", False, "1")]
)
def test_half_precision_has_tensor_cores_and_float32_only_where_they_are_asked_for(precision, asked, tensor_cores):
    options = dict(providers(Device("cuda"), for_precision(GpuOptions(tf32=asked, nhwc=True), precision)))
    assert (options[CUDA]["use_tf32"], options[CUDA]["prefer_nhwc"]) == (tensor_cores, "1")


def test_tensorrt_stands_first_and_caches_its_engines():
    gpu = GpuOptions(tensorrt_cache=Path("/var/cache/engines"))
    assert [name for name, _ in providers(Device("cuda"), gpu)] == [TENSORRT, CUDA, CPU]
    options = dict(providers(Device("cuda"), gpu))[TENSORRT]
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == "/var/cache/engines"
    assert wanted(Device("cuda"), gpu) == TENSORRT
    assert wanted(Device("cpu"), gpu) == CPU


def test_a_stream_is_handed_over_by_its_address():
    options = dict(providers(Device("cuda"), GpuOptions(tensorrt_cache=Path("/tmp")), stream=4096))
    for name in (CUDA, TENSORRT):
        assert (options[name]["has_user_compute_stream"], options[name]["user_compute_stream"]) == ("1", "4096")


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (48, (1, 2, 4, 8, 16, 32, 48))]
)
def test_buckets_are_powers_of_two_up_to_the_largest_batch(largest, sizes):
    assert buckets(largest) == sizes


def test_tensorrt_is_told_which_batches_will_come():
    gpu, profile = GpuOptions(tensorrt_cache=Path("/tmp")), Profile("images", (224, 192, 3), 48)
    options = dict(providers(Device("cuda"), gpu, profile=profile))
    assert options[TENSORRT]["trt_profile_min_shapes"] == "images:1x224x192x3"
    assert options[TENSORRT]["trt_profile_opt_shapes"] == options[TENSORRT]["trt_profile_max_shapes"]
    assert options[TENSORRT]["trt_profile_max_shapes"] == "images:48x224x192x3"
    assert not any(name.startswith("trt_") for name in options[CUDA])
