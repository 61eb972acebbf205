"""`harmonic import` of windowed and scale-equivariant checkpoints, and of those without a head."""

import pytest
import torch
from torch import Tensor, nn

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.bundles.checkpoints import import_reference
from harmonic.bundles.fourier_checkpoints import load_original
from harmonic.errors import BundleError
from harmonic.layers import HammingConv2d
from tests.support.commands import done, refused
from tests.support.fourier_original import CLASSES, HIDDEN, WIDTHS, checkpoint

SMALL = {"width": 0.0625, "kernel": 5}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(7))


def windowed(**arguments: object) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network, and its state as the original stores it: a window beside every weight."""
    torch.manual_seed(0)
    network = zoo.create("hamming_resnet18", 3, **SMALL, **arguments).eval()
    windows = {
        f"{name}.hamming2d": layer.window.clone()
        for name, layer in network.named_modules()
        if isinstance(layer, HammingConv2d)
    }
    return network, {**network.state_dict(), **windows}


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
@pytest.mark.parametrize("factorised", [False, True])
def test_a_windowed_checkpoint_answers_as_it_did(factorised, prefix):
    network, state = windowed(factorised=factorised)
    state = {prefix + name: tensor for name, tensor in state.items()}
    found = import_reference(state, "hamming_resnet18", **SMALL, factorised=factorised)
    with torch.no_grad():
        assert torch.equal(found(IMAGES), network(IMAGES))


def test_windows_are_left_over_where_the_network_has_none():
    _, state = windowed()
    with pytest.raises(BundleError, match=r"left over: .*hamming2d"):
        import_reference(state, "hamming_resnet18", **SMALL, window=False)


def test_a_window_of_other_values_is_refused():
    _, state = windowed()
    state["conv1.hamming2d"] = state["conv1.hamming2d"].square()
    with pytest.raises(BundleError, match=r"conv1\.hamming2d .*other values"):
        import_reference(state, "hamming_resnet18", **SMALL)


def test_the_command_imports_a_windowed_checkpoint(tmp_path):
    _, state = windowed()
    torch.save({"state_dict": state, "epoch": 39}, tmp_path / "theirs.ckpt")
    done(
        "import", tmp_path / "theirs.ckpt", "--architecture", "hamming_resnet18", "--argument", "width=0.0625",
        "--argument", "kernel=5", "--out", tmp_path / "new",
    )  # fmt: skip
    assert len(bundle.load(tmp_path / "new").card.classes) == 3


def test_the_command_imports_a_scale_equivariant_checkpoint(tmp_path):
    torch.save(checkpoint(), tmp_path / "theirs.pt")
    done(
        "import", tmp_path / "theirs.pt", "--architecture", "fourier_mnist", "--argument", f"widths={list(WIDTHS)}",
        "--argument", f"hidden={HIDDEN}", "--out", tmp_path / "new",
    )  # fmt: skip
    made = bundle.load(tmp_path / "new")
    wanted = load_original(checkpoint(), zoo.create("fourier_mnist", CLASSES, widths=WIDTHS, hidden=HIDDEN))
    assert len(made.card.classes) == CLASSES
    for name, tensor in wanted.state_dict().items():
        assert torch.equal(made.model.state_dict()[name], tensor)


def backbone() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: t for name, t in zoo.create("cifar_resnet8", 5).state_dict().items() if "linear" not in name}


def test_a_checkpoint_without_a_head_gets_one_if_the_classes_are_named(tmp_path):
    torch.save(backbone(), tmp_path / "body.pth")
    (tmp_path / "names.txt").write_text("cat\ndog\ncow\n")
    command = ("import", tmp_path / "body.pth", "--architecture", "cifar_resnet8", "--out", tmp_path / "new")
    assert "--classes FILE" in refused(*command)
    said = done(*command, "--classes", tmp_path / "names.txt")
    assert "last layer is untrained" in said
    made = bundle.load(tmp_path / "new")
    assert made.card.classes == ("cat", "dog", "cow")
    assert all(torch.equal(made.model.state_dict()[name], tensor) for name, tensor in backbone().items())


def test_a_body_that_misses_more_than_its_head_is_refused():
    state = {name: tensor for name, tensor in backbone().items() if name != "conv1.weight"}
    with pytest.raises(BundleError, match=r"1 missing: conv1\.weight"):
        import_reference(state, "cifar_resnet8", new_head=3)
