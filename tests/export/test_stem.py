"""A network cut behind its root gives the same answers, and one that cannot be cut says why."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

from export.errors import ExportError, ParityError
from export.manifest import check_files, read_manifest
from export.pipeline import Order, export
from export.stem import split
from export.verify import synthetic_images
from harmonic import zoo
from harmonic.bundles import Bundle, Card, Classifier
from harmonic.layers import BandNormConv2d
from harmonic.pixels import PixelSpec
from tests.support.laws import assert_same_function, images, randomised, small_pixels, stand_in, stand_in_names

SPEC = PixelSpec(height=12, width=10)


class Sums(nn.Module):
    """Reads its input a second time, behind the root."""

    def __init__(self) -> None:
        super().__init__()
        self.root = BandNormConv2d(3, 3, 3, padding=1)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3"]:
        return torch.Tensor(self.root(x) + x).mean(dim=(2, 3))


class TwoNames(nn.Module):
    """Its root stands under two names, and runs under the later one."""

    def __init__(self) -> None:
        super().__init__()
        self.root = BandNormConv2d(3, 3, 3, padding=1)
        self.again = nn.Sequential(self.root, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3"]:
        return torch.Tensor(self.again(x))


def with_band_norm_root() -> list[str]:
    """Families whose stand-in begins with a layer that can be cut off."""
    kept = []
    for name in stand_in_names():
        with torch.device("meta"):
            layers = stand_in(name).modules()
        first = next(m for m in layers if isinstance(m, nn.Conv2d) or hasattr(m, "bank"))
        kept += [name] if isinstance(first, BandNormConv2d) else []
    return kept


def a_bundle(architecture: str = "harm_wrn10_1", **arguments: object) -> Bundle:
    torch.manual_seed(0)
    pixels = zoo.find(architecture).pixels
    card = Card(architecture=architecture, arguments=arguments, classes=("cat", "dog", "eel"), pixels=pixels)
    return Bundle(card, randomised(zoo.create(architecture, 3, **arguments)).eval())


def test_several_families_can_be_cut() -> None:
    assert len(with_band_norm_root()) >= 2


@pytest.mark.parametrize("name", with_band_norm_root())
def test_stem_and_body_are_the_network(name: str) -> None:
    model, spec = randomised(stand_in(name)).eval(), small_pixels(name)
    cut = split(model, spec)
    assert_same_function(model, lambda x: cut.body(cut.root(x)), images(3, name))
    assert cut.root(images(1, name)).shape[1:] == cut.shape
    assert not any(isinstance(layer, BandNormConv2d) for layer in cut.body.modules())


def test_a_root_under_two_names_is_cut_off_under_both() -> None:
    model = randomised(TwoNames()).eval()
    cut = split(model, SPEC)
    assert not any(isinstance(layer, BandNormConv2d) for layer in cut.body.modules())
    assert_same_function(model, lambda x: cut.body(cut.root(x)), torch.randn(2, 3, 12, 10))


def test_cutting_leaves_the_network_as_it_was() -> None:
    model = randomised(zoo.create("harm_wrn10_1", 3)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    split(model, zoo.find("harm_wrn10_1").pixels)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "only a BandNormConv2d"),
        (nn.Sequential(nn.Flatten(), nn.Linear(360, 3)), "no spatial convolution"),
        (nn.Sequential(nn.AvgPool2d(2), BandNormConv2d(3, 4, 3), nn.Flatten()), "not alone in reading"),
        (Sums(), "not alone in reading"),
    ],
)
def test_a_network_without_a_stem_to_take_off_says_so(network: nn.Module, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        split(randomised(network).eval(), SPEC)


def test_a_native_version_holds_stem_and_body_beside_the_whole_net(tmp_path: Path) -> None:
    published = export(Order(a_bundle(), tmp_path, "pets", max_batch=8, stem="native", norm="adaptive"))
    manifest = read_manifest(published.folder)
    check_files(published.folder, manifest)
    assert {"model.onnx", "body.onnx", "stem.safetensors"} <= manifest.files.keys()
    native = manifest.variant("native")
    assert native.stem is not None and native.parity is not None
    assert (manifest.stem, native.file, native.stem.norm) == ("native", "body.onnx", "adaptive")
    assert native.stem.output == (16, 32, 32)
    assert native.parity.top1_agreement == 1.0
    assert manifest.variant().stem is None
    assert len({path.stat().st_mode for path in published.folder.iterdir()}) == 1
    with safe_open(published.folder / "stem.safetensors", "numpy") as tensors:
        assert tensors.get_tensor("bank").shape == (9, 1, 3, 3)
        assert tensors.get_tensor("mean").shape == (27,)


def test_auto_folds_where_that_is_within_tolerance_and_says_so(tmp_path: Path) -> None:
    steps: list[str] = []
    published = export(Order(a_bundle(), tmp_path, "pets", max_batch=8), tell=steps.append)
    assert published.stem == "folded"
    assert any("within tolerance" in step for step in steps)
    assert not (published.folder / "body.onnx").exists()


def a_bundle_that_folds_badly() -> Bundle:
    """Pixels that hardly vary around a large mean: the fold subtracts large sums, the three steps small differences."""
    spec = PixelSpec(height=12, width=12, mean=(-3000.0,) * 3, std=(1.0,) * 3)
    torch.manual_seed(0)
    root = BandNormConv2d(3, 8, 3)
    root.norm.momentum = 1.0
    network = nn.Sequential(root, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        Classifier(network, spec).train()(torch.from_numpy(synthetic_images(64, spec, seed=3)))
    return Bundle(Card(architecture="small", classes=("cat", "dog", "eel"), pixels=spec), network.eval())


def test_auto_lays_a_native_stem_where_the_fold_loses_digits(tmp_path: Path) -> None:
    manifest = read_manifest(export(Order(a_bundle_that_folds_badly(), tmp_path, "pets", max_batch=8)).folder)
    native = manifest.variant("native")
    assert manifest.stem == "native"
    assert native.parity is not None and native.parity.max_error < manifest.parity.max_error / 100
    assert manifest.variant().tolerance > native.tolerance


def test_folded_is_refused_where_the_fold_loses_digits(tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        export(Order(a_bundle_that_folds_badly(), tmp_path, "pets", max_batch=8, stem="folded"))


def test_auto_refuses_answers_beyond_tolerance_where_no_stem_can_help(tmp_path: Path) -> None:
    bundle = a_bundle("wrn10_1")
    with torch.no_grad():
        bundle.model.get_parameter("head.bias")[0] = torch.inf
    with pytest.raises(ParityError):
        export(Order(bundle, tmp_path, "pets"))
    assert list(tmp_path.iterdir()) == []


def test_a_norm_that_adapts_needs_a_native_stem(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--stem native"):
        export(Order(a_bundle(), tmp_path, "pets", norm="adaptive"))


def test_goldens_are_the_same_for_every_variant(tmp_path: Path) -> None:
    manifest = read_manifest(export(Order(a_bundle(), tmp_path, "pets", max_batch=8, stem="native")).folder)
    assert {variant.goldens for variant in manifest.variants} == {"golden.npz"}
    with np.load(tmp_path / "pets" / "1" / "golden.npz") as goldens:
        assert len(goldens["images"]) == len(goldens["logits"])
