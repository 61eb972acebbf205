"""Checkpoints of the original code import strictly and answer as the original does."""

import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from harmonic import zoo
from harmonic.bundles.checkpoints import import_reference, read_state
from harmonic.errors import BundleError
from tests.support.originals import (
    State,
    bank,
    draw_resnet18,
    draw_se_resnext14,
    draw_vgg11,
    draw_wrn,
    original_resnet18,
    original_se_resnext14,
    original_vgg11,
    original_wrn,
)

ORIGINALS: dict[str, tuple[str, dict[str, object], Callable[[], State], Callable[[Tensor, State], Tensor], int]] = {
    "wrn": ("wrn10_1", {}, lambda: draw_wrn(None, "conv0"), partial(original_wrn, levels=None), 32),
    "harm1_wrn": ("harm1_wrn10_1", {}, lambda: draw_wrn(None, "harmonic0"), partial(original_wrn, levels=None), 32),
    "harm_wrn": (
        "harm_wrn10_1",
        {},
        lambda: draw_wrn((None,) * 3, "harmonic0"),
        partial(original_wrn, levels=(None,) * 3),
        32,
    ),
    "harm_wrn level 2": (
        "harm_wrn10_1",
        {"level": 2},
        lambda: draw_wrn((2,) * 3, "harmonic0"),
        partial(original_wrn, levels=(2,) * 3),
        32,
    ),
    "harm_wrn progressive": (
        "harm_wrn10_1",
        {"level": (None, 3, 2)},
        lambda: draw_wrn((None, 3, 2), "harmonic0"),
        partial(original_wrn, levels=(None, 3, 2)),
        32,
    ),
    "harm_resnet": (
        "harm_resnet18",
        {},
        lambda: draw_resnet18(True, (None,) * 4),
        partial(original_resnet18, levels=(None,) * 4),
        64,
    ),
    "harm_resnet progressive, plain root": (
        "harm_resnet18",
        {"level": (None, None, 3, 2), "root": "plain"},
        lambda: draw_resnet18(False, (None, None, 3, 2)),
        partial(original_resnet18, levels=(None, None, 3, 2)),
        64,
    ),
    "harm_vgg": ("harm_vgg11", {"hidden": 8}, lambda: draw_vgg11(False), partial(original_vgg11, norms=False), 32),
    "harm_vgg_bn": (
        "harm_vgg11_bn",
        {"hidden": 8},
        lambda: draw_vgg11(True),
        partial(original_vgg11, norms=True),
        32,
    ),
    "harm_se_resnext": ("harm_se_resnext14_8x4d", {}, draw_se_resnext14, original_se_resnext14, 64),
}


@pytest.mark.parametrize("family", ORIGINALS)
def test_a_checkpoint_answers_as_the_original(family):
    name, arguments, draw, original, side = ORIGINALS[family]
    state = draw()
    model = import_reference(state, name, **arguments)
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected, found = original(x, state), model(x)
    assert expected.std() > 1e-3
    rounding = 100 * torch.finfo(x.dtype).eps * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding)


@pytest.mark.parametrize("family", ORIGINALS)
def test_prefix_banks_and_four_dimensions_change_nothing(family):
    name, arguments, draw, _, side = ORIGINALS[family]
    state = draw()
    other = {f"module.{key}": t.flatten(1, 2) if t.ndim == 5 else t for key, t in state.items()}
    other |= {"module.dct0": bank(3), "module.layer1.0.harm2.dct": bank(3)[None], "module.dctl3": bank(3, 3)}
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        found, expected = import_reference(other, name, **arguments)(x), import_reference(state, name, **arguments)(x)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("family", ORIGINALS)
def test_whatever_does_not_fit_is_listed(family):
    name, arguments, draw, _, _ = ORIGINALS[family]
    state = draw()
    bias = next(key for key in state if key.endswith(("fc.bias", "classifier.6.bias")))
    mean = next(key for key in state if key.endswith("running_mean"))
    state["stranger.weight"] = torch.zeros(2)
    state[mean] = torch.zeros(1)
    del state[bias]
    with pytest.raises(BundleError, match=r"1 missing: .*; 1 left over: stranger\.weight; 1 of the wrong"):
        import_reference(state, name, **arguments)


def test_what_does_not_fit_is_listed_under_the_files_own_names():
    state = {f"module.{key}": tensor for key, tensor in draw_wrn((None,) * 3, "harmonic0").items()}
    state["module.group2.block1.harmonic0.conv"] = torch.zeros(64, 64, 9, 1, 1)
    state["module.group1.block0.harmonic1.conv"] = torch.zeros(32, 32, 6, 1, 1)
    state["module.harmonic0.bn.running_var"] = torch.zeros(9)
    del state["module.group0.block0.bn1.weight"]
    with pytest.raises(BundleError) as error:
        import_reference(state, "harm_wrn10_1")
    assert str(error.value) == (
        "The checkpoint for harm_wrn10_1 does not fit the architecture: 1 missing: groups.0.0.norm1.weight; "
        "1 left over: module.group2.block1.harmonic0.conv; "
        "2 of the wrong shape: module.group1.block0.harmonic1.conv (32, 32, 6, 1, 1), wanted (32, 32, 9, 1, 1), "
        "module.harmonic0.bn.running_var (9,), wanted (27,)."
    )


def test_two_names_that_would_become_one_are_told():
    state = draw_wrn(None, "conv0")
    state["harmonic0.conv"] = state["conv0"]
    state["groups.1.0.conv0.weight"] = state["group1.block0.conv0"]
    with pytest.raises(BundleError) as error:
        import_reference(state, "wrn10_1")
    assert str(error.value) == (
        "The checkpoint for wrn10_1 has more than one tensor for the same place, 2 in all: "
        "group1.block0.conv0 and groups.1.0.conv0.weight for groups.1.0.conv0.weight, "
        "conv0 and harmonic0.conv for root.weight. Leave one of each."
    )


def test_another_level_does_not_fit():
    with pytest.raises(BundleError, match="of the wrong shape"):
        import_reference(draw_wrn((None,) * 3, "harmonic0"), "harm_wrn10_1", level=2)


def test_a_checkpoint_without_a_last_layer_is_told():
    with pytest.raises(BundleError, match="no number of classes"):
        import_reference({"conv0": torch.zeros(16, 3, 3, 3)}, "wrn10_1")


@pytest.mark.parametrize("wrapper", ["params", "state_dict", None])
def test_a_file_is_read_and_unwrapped(tmp_path, wrapper):
    state = draw_wrn(None, "conv0")
    content = {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}} if wrapper else state
    torch.save(content, tmp_path / "model.pt7")
    read = read_state(tmp_path / "model.pt7")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


class Payload:
    """What a hostile checkpoint would run."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", b"PK\x03\x04 truncated zip", "payload", "list", "empty", "numbers", "numbered"],
)
def test_a_file_that_is_no_checkpoint_is_refused_and_never_executed(tmp_path, content, capsys):
    path = tmp_path / "model.pth"
    objects = {"payload": {"a": Payload()}, "list": [torch.zeros(2)], "empty": {}, "numbers": {"a": 1}}
    objects["numbered"] = {1: torch.zeros(2), "1": torch.zeros(2)}
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(objects[content], path)
    with pytest.raises(BundleError, match=r"model\.pth"):
        read_state(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["zipped.pth", "plain.pth", "net.safetensors"])
def test_a_damaged_file_is_read_or_told_whatever_the_damage(tmp_path, name):
    path, state = tmp_path / name, {"conv0": torch.ones(16, 3, 3, 3), "fc.weight": torch.ones(4, 64)}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"params": state}, path, _use_new_zipfile_serialization=name == "zipped.pth")
    content, rng, told = path.read_bytes(), random.Random(0), 0
    for attempt in range(100):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 3, 20])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randrange(len(damaged))] if attempt % 2 else damaged)
        try:
            read_state(path)
        except BundleError as error:
            told += 1
            assert f"{name}: damaged" in str(error)
    assert told >= 50


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BundleError, match="cannot be read"):
        read_state(tmp_path / "nothing.pth")


def test_a_networks_own_state_imports_too():
    torch.manual_seed(0)
    model = zoo.create("cifar_resnet8", 4).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(import_reference(model.state_dict(), "cifar_resnet8")(x), model(x))
