"""The native stem: the same answers as the whole folded net, an honest refusal without PyTorch, a norm that may follow
the traffic."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from export.manifest import Manifest, read_manifest
from harmonic.layers import BandNormConv2d
from harmonic.pixels import PixelSpec
from service.batching import BatchPolicy
from service.engine.catalog import BrokenVersion
from service.engine.loading import Loaded, Trial, load_version
from service.runtime.backend import SessionError
from service.runtime.choice import Running, choose
from service.runtime.device import Device
from service.runtime.open import open_session
from service.runtime.placement import Placement
from service.runtime.session import Session
from tests.support.laws import randomised

CPU = Placement((Device("cpu"),), 1)


@pytest.fixture
def root(native_repository: Path) -> Path:
    return native_repository


def loaded(root: Path, running: Running | None = None) -> Trial:
    return load_version(root, "pets", 1, CPU, BatchPolicy(max_size=8), 1, running or Running())


def ready(root: Path, running: Running | None = None) -> Loaded:
    entry = loaded(root, running)
    assert isinstance(entry, Loaded), entry
    return entry


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def opened(root: Path, running: Running) -> tuple[Session, Manifest]:
    folder = root / "pets" / "1"
    manifest = read_manifest(folder)
    return open_session(folder, manifest, choose(manifest, running)[0], CPU, 8, running), manifest


@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_both_forms_give_the_same_answers(root: Path, count: int) -> None:
    folded, native = (ready(root, Running(stem)).sessions[0] for stem in ("folded", "native"))
    expected = folded.run(images(count))
    np.testing.assert_allclose(native.run(images(count)), expected, rtol=0, atol=1e-4 * max(1, abs(expected).max()))


def test_what_the_manifest_asks_for_runs_unless_the_setting_says_otherwise(root: Path) -> None:
    assert ready(root).facts.variant == "native"
    assert ready(root, Running("folded")).facts.variant == "default"


def test_a_model_without_a_native_stem_says_so_when_it_is_asked_for(publish, tmp_path: Path) -> None:
    publish()
    entry = load_version(tmp_path / "models", "colours", 1, CPU, BatchPolicy(), 1, Running("native"))
    assert isinstance(entry, BrokenVersion)
    assert "no variant 'native'" in entry.reason


@pytest.mark.parametrize("name", ["torch", "safetensors"])
def test_without_pytorch_the_refusal_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    entry = loaded(root)
    assert isinstance(entry, BrokenVersion)
    assert name in entry.reason
    assert "harmonic-inference[native]" in entry.reason and "HARMONIC_SERVE_STEM=folded" in entry.reason


def test_the_whole_net_is_served_without_pytorch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert ready(root, Running("folded")).sessions[0].run(images(1)).shape == (1, 3)


@pytest.mark.parametrize("damage", ["empty", "no bank", "other weights"])
def test_a_damaged_stem_is_found_before_it_serves(root: Path, tmp_path: Path, damage: str) -> None:
    import shutil

    from export.manifest import sha256

    copy = tmp_path / "pets" / "1"
    shutil.copytree(root / "pets" / "1", copy)
    stem = copy / "stem.safetensors"
    tensors = load_file(stem)
    if damage == "empty":
        stem.write_bytes(b"")
    elif damage == "no bank":
        save_file({name: tensor for name, tensor in tensors.items() if name != "bank"}, stem)
    else:
        save_file(tensors | {"weight": tensors["weight"] * 1.05}, stem)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["stem.safetensors"] = sha256(stem)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    entry = loaded(tmp_path)
    assert isinstance(entry, BrokenVersion)
    assert {"empty": "no readable stem", "no bank": "bank", "other weights": "golden"}[damage] in entry.reason


def test_answers_do_not_depend_on_batch_mates_while_the_norm_is_frozen(root: Path) -> None:
    session = ready(root).sessions[0]
    together = session.run(images(8))
    alone = np.concatenate([session.run(images(8)[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4 * max(1, abs(alone).max()))


def test_images_that_nobody_may_write_to_are_answered(root: Path) -> None:
    session, received = ready(root).sessions[0], np.frombuffer(images(2).tobytes(), np.uint8).reshape(2, 32, 32, 3)
    np.testing.assert_array_equal(session.run(received), session.run(images(2)))


def test_a_norm_adapts_only_if_the_operator_gives_it_a_window(root: Path) -> None:
    frozen, adaptive = ready(root), ready(root, Running(adapt_images=16))
    assert (frozen.facts.adaptive, adaptive.facts.adaptive) == (False, True)
    dark = images(16) // 8
    before = adaptive.sessions[0].run(images(1))
    for entry in (frozen, adaptive):
        entry.sessions[0].run(dark)
    np.testing.assert_array_equal(frozen.sessions[0].run(dark), frozen.sessions[0].run(dark))
    moved = adaptive.sessions[0].run(images(1))
    assert abs(moved - before).max() > 1e-3
    adaptive.sessions[0].reset()
    np.testing.assert_allclose(adaptive.sessions[0].run(images(1)), before, atol=1e-5)


def test_the_log_warns_of_a_norm_that_follows_the_traffic(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    ready(root)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    ready(root, Running(adapt_images=16))
    assert "follows the last 16 images" in caplog.text


def test_goldens_are_replayed_frozen(root: Path) -> None:
    """A window of one image would move far; the version is ready all the same, and starts from training's figures."""
    session = ready(root, Running(adapt_images=1)).sessions[0]
    np.testing.assert_array_equal(
        session.run(images(1)), ready(root, Running(adapt_images=1)).sessions[0].run(images(1))
    )


def test_a_session_that_never_saw_its_goldens_does_not_adapt(root: Path) -> None:
    session, _ = opened(root, Running(adapt_images=4))
    first = session.run(images(1))
    session.run(images(8, seed=5) // 10)
    np.testing.assert_array_equal(session.run(images(1)), first)


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": 1},
        {"stride": 2, "padding": 1, "bias": False},
        {"padding": "same", "padding_mode": "reflect"},
        {"padding": (2, 1), "padding_mode": "replicate", "dilation": 2},
        {"padding": "valid", "level": 2},
        {"padding": "same", "kernel_size": 4, "padding_mode": "circular"},
        {"padding": 2, "kernel_size": 4, "out_channels": 6, "groups": 3, "dc": False},
    ],
)
def test_every_geometry_of_the_layer_is_rebuilt(tmp_path: Path, arguments: dict[str, object]) -> None:
    from export.stem import Split, write_stem
    from harmonic.bundles import Classifier
    from service.runtime.native import NativeStem

    torch.manual_seed(1)
    layer = BandNormConv2d(3, **({"out_channels": 5, "kernel_size": 3} | arguments)).eval()
    randomised(layer)
    spec = PixelSpec(height=11, width=9)
    pictures = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (2, 11, 9, 3), dtype=np.uint8))
    with torch.no_grad():
        expected = Classifier(layer, spec)(pictures)
    stem = write_stem(Split(layer, layer, tuple(expected.shape[1:])), spec, tmp_path / "stem.safetensors", "frozen")
    found = NativeStem(tmp_path / "stem.safetensors", stem, torch.device("cpu"), window=0)(pictures)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_the_stem_hands_its_memory_over_without_a_copy() -> None:
    from export.runtime import ort

    native = importlib.import_module("service.runtime.native")
    features = torch.rand(2, 3)
    value = native.shared(features)
    assert isinstance(value, ort.OrtValue)
    assert value.data_ptr() == features.data_ptr()


def test_an_unreadable_variant_is_no_stem(root: Path) -> None:
    from service.runtime.native import NativeSession

    folder = root / "pets" / "1"
    manifest = read_manifest(folder)
    with pytest.raises(SessionError, match="no stem"):
        NativeSession(folder, manifest, manifest.variant(), CPU, 8)
