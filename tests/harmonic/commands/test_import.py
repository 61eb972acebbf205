"""`harmonic import` and the door of `harmonic pull`: checkpoints of the original code become bundles, strictly."""

import json
from functools import partial

import pytest
import torch

from harmonic.bundles import bundle
from tests.support.commands import done, refused
from tests.support.laws import assert_same_function
from tests.support.originals import draw_wrn, original_wrn

PROGRESSIVE = (None, 3, 2)
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def checkpoint(tmp_path):
    """As the original's training script leaves it: flat names under `params`, beside epoch and optimiser."""
    state = draw_wrn(PROGRESSIVE, "harmonic0")
    torch.save({"params": state, "epoch": 7, "optimizer": {"lr": 0.1}}, tmp_path / "model.pt7")
    return tmp_path / "model.pt7", state


def test_a_checkpoint_becomes_a_bundle_that_answers_as_the_original(checkpoint, tmp_path):
    path, state = checkpoint
    (tmp_path / "names.txt").write_text("stone\nwood\ncloth\nglass\n")
    shown = done(
        "import", path, "--architecture", "harm_wrn10_1", "--argument", "level=full,3,2", "--argument", "dropout=0.3",
        "--classes", tmp_path / "names.txt", "--out", tmp_path / "new",
    )  # fmt: skip
    assert shown.splitlines()[-1] == f"The bundle is {tmp_path / 'new'}."
    made = bundle.load(tmp_path / "new")
    assert made.card.classes == ("stone", "wood", "cloth", "glass")
    assert made.card.arguments == {"level": [None, 3, 2], "dropout": 0.3}
    assert_same_function(partial(original_wrn, p=state, levels=PROGRESSIVE), made.model, IMAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["harm_wrn10_1"], "4 of the wrong shape: group1.block0.harmonic0.conv (32, 16, 6, 1, 1), wanted (32, 16, 9"),
        (["harm_wrn16_1", "--argument", "level=full,3,2"], "missing: groups.0.1.conv0.weight"),
        (["wrn10_1"], "2 left over: harmonic0.bn.running_mean, harmonic0.bn.running_var; 7 of the"),
        (["nobody"], "no architecture 'nobody'"),
        (["harm_wrn10_1", "--argument", "levels=2"], "does not take ['levels']"),
        (["harm_wrn10_1", "--argument", "level=9"], "level must be"),
        (["harm_wrn10_1", "--argument", "level=full,3"], "3 groups"),
        (["harm_wrn10_1", "--argument", "architecture=wrn10_1"], "does not take ['architecture']"),
        (["harm_wrn10_1", "--argument", "level=full,3,2", "--classes", "gone"], "gone: cannot be read as class names"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(checkpoint, tmp_path, options, message):
    assert message in refused("import", checkpoint[0], "--architecture", *options, "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_single_class_is_no_classifier(checkpoint, tmp_path):
    state = checkpoint[1] | {"fc.weight": torch.zeros(1, 64), "fc.bias": torch.zeros(1)}
    torch.save(state, tmp_path / "one.pt7")
    said = refused("import", tmp_path / "one.pt7", "--architecture", "harm_wrn10_1", "--out", tmp_path / "new")
    assert said == "classes must be a whole number from 2, not 1."


class Payload:
    """What a hostile file would run."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_truncated_checkpoint_is_told(checkpoint, tmp_path, share):
    path, _ = checkpoint
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    said = refused("import", path, "--architecture", "harm_wrn10_1", "--out", tmp_path / "new")
    assert f"{path}: damaged" in said


def test_a_checkpoint_with_code_is_refused_and_never_run(tmp_path, capsys):
    torch.save({"params": draw_wrn(None, "conv0"), "epoch": Payload()}, tmp_path / "model.pt7")
    said = refused("import", tmp_path / "model.pt7", "--architecture", "wrn10_1", "--out", tmp_path / "new")
    assert "model.pt7: damaged, or it holds more than tensors" in said
    assert "executed" not in capsys.readouterr().out


def test_a_name_that_was_not_released_is_answered_with_those_that_were():
    said = refused("pull", "harm_resnet34")
    assert said.startswith("harm_resnet34 was not released. Near: harm_resnet50, ")
    assert "Released: harm_resnet50, harm_resnet101, se_resnext101_32x4d," in said


def test_pull_tells_that_a_place_is_taken_before_it_downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    assert "exists already" in refused("pull", "harm_resnet50", "--out", tmp_path)
    assert not (tmp_path / "cache").exists()


def test_the_scale_of_jpegs_stays_with_the_network_from_one_command_to_the_next(checkpoint, tmp_path):
    """`import` chooses it, `convert` keeps it, `export` may publish another."""
    first, second = tmp_path / "first", tmp_path / "second"
    options = ["--architecture", "harm_wrn10_1", "--argument", "level=full,3,2", "--jpeg-scale", "reduced"]
    done("import", checkpoint[0], *options, "--out", first)
    done("convert", first, "--out", second)
    served = ["--repository", tmp_path / "models", "--max-batch", "2", "--name", "changed"]
    done("export", second, *served, "--jpeg-scale", "full")
    manifest = json.loads((tmp_path / "models/changed/1/manifest.json").read_text())
    assert [bundle.read_card(folder).pixels.jpeg_scale for folder in (first, second)] == ["reduced", "reduced"]
    assert manifest["pixels"]["jpeg_scale"] == "full"
