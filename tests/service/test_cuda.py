"""On an NVIDIA GPU: every way of running gives the CPU's answers, and the provider in force is the one asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.manifest import read_manifest
from export.runtime import ort
from service.batching import BatchPolicy
from service.engine.loading import Loaded, load_version
from service.errors import StartError
from service.runtime import Device, Placement, Running, Session, place, read_devices
from service.runtime.providers import CUDA, GpuOptions

pytestmark = pytest.mark.gpu
CPU, GPU = Placement((Device("cpu"),), 1), Placement((Device("cuda"),), 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cuda() -> None:
    if CUDA not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA")
    ort.preload_dlls()


def served(root: Path, running: Running, placement: Placement) -> Loaded:
    entry = load_version(root, "pets", 1, placement, BatchPolicy(max_size=16), 1, running)
    assert isinstance(entry, Loaded), entry
    return entry


@pytest.mark.parametrize("stem", ["folded", "native"])
@pytest.mark.parametrize(
    "gpu",
    [GpuOptions(), GpuOptions(graphs=True), GpuOptions(nhwc=True, conv_search="exhaustive", arena="as-requested")],
)
@pytest.mark.parametrize("count", [1, 3, 16])
def test_cuda_gives_the_cpus_answers(native_repository: Path, stem: str, gpu: GpuOptions, count: int) -> None:
    entry = served(native_repository, Running(stem), replace(GPU, gpu=gpu))
    assert entry.facts.provider == CUDA
    expected = served(native_repository, Running("folded"), CPU).sessions[0].run(IMAGES[:count])
    tolerance = entry.facts.manifest.variant(entry.facts.variant).tolerance
    for _ in range(3):  # with graphs: the recording, and what it replays
        np.testing.assert_allclose(
            entry.sessions[0].run(IMAGES[:count]),
            expected,
            atol=tolerance,
        )


def test_a_following_norm_moves_on_cuda_as_on_the_cpu(native_repository: Path) -> None:
    running = Running("native", adapt_images=8)
    found, expected = (served(native_repository, running, where).sessions[0] for where in (GPU, CPU))
    for start in (0, 4, 8):
        batch = IMAGES[start : start + 4] // 4
        np.testing.assert_allclose(found.run(batch), expected.run(batch), atol=1e-2)


def test_every_device_gets_its_instances(native_repository: Path) -> None:
    entry = served(native_repository, Running("folded"), Placement((Device("cuda"), Device("cuda")), 1))
    assert len(entry.sessions) == 2


@pytest.mark.parametrize("stem", ["folded", "native"])
@pytest.mark.parametrize("gpu", [GpuOptions(), GpuOptions(padded=False), GpuOptions(graphs=True)])
def test_images_in_page_locked_memory_get_the_cpus_answers(native_repository: Path, stem: str, gpu: GpuOptions) -> None:
    entry = served(native_repository, Running(stem), replace(GPU, gpu=gpu))
    memory = entry.sessions[0].buffer(IMAGES.shape, IMAGES.dtype)
    assert torch.from_numpy(memory).is_pinned()
    expected = served(native_repository, Running("folded"), CPU).sessions[0].run(IMAGES)
    tolerance = entry.facts.manifest.variant(entry.facts.variant).tolerance
    for count in (16, 3, 16):
        memory[...] = IMAGES
        np.testing.assert_allclose(entry.sessions[0].run(memory[:count]), expected[:count], atol=tolerance)


def test_a_device_that_is_not_there_is_refused(native_repository: Path) -> None:
    folder = native_repository / "pets" / "1"
    with pytest.raises(StartError, match="cuda:99"):
        Session(folder / "model.onnx", read_manifest(folder), Placement((Device("cuda", 99),), 1))


def test_auto_takes_the_gpu(native_repository: Path) -> None:
    assert str(place(read_devices("auto"), 1, native_repository / "pets" / "1" / "model.onnx")) == "cuda:0"
