"""`harmonic convert`: networks become harmonic bundles that answer as they did, and what does not fit is told."""

import json

import pytest
import torch
from safetensors.torch import save_file

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.pixels import PixelSpec
from tests.support.commands import done, refused
from tests.support.laws import assert_same_function, randomised
from tests.support.textures import write_textures

NAMES = ("stone", "wood", "cloth")
PATTERNS = "layer2.*=3,layer3.0.conv2=1"
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return randomised(zoo.create("cifar_resnet8", 3)).eval()


@pytest.fixture
def start(network, tmp_path):
    """A folder with the network as a file of weights and as a bundle of another input."""
    torch.save({"state_dict": {f"module.{key}": t for key, t in network.state_dict().items()}}, tmp_path / "net.th")
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    card = bundle.Card(
        architecture="cifar_resnet8", classes=NAMES, pixels=PixelSpec(height=16, width=16), notice="for a test"
    )
    bundle.save(bundle.Bundle(card, network), tmp_path / "plain")
    return tmp_path


def convert(start, *options, source=("cifar_resnet8", "--weights", "net.th")):
    """Convert in the folder `start`; the new bundle and what was shown."""
    shown = done("convert", *(start / word if "net." in str(word) else word for word in source), "--out",
                 start / "new", *options)  # fmt: skip
    return bundle.load(start / "new"), shown


def harmonic_levels(model):
    """Level of every harmonic layer; None is the full band."""
    return {
        name: layer.level for name, layer in model.named_modules() if isinstance(layer, HarmonicConv2d | BandNormConv2d)
    }


@pytest.mark.parametrize("file", ["net.th", "net.safetensors"])
def test_an_architecture_with_a_file_of_weights_keeps_its_answers(start, network, file):
    made, shown = convert(start, source=("cifar_resnet8", "--weights", file))
    assert_same_function(network, made.model, IMAGES)
    assert set(harmonic_levels(made.model)) == {n for n, m in network.named_modules() if n.endswith(("conv1", "conv2"))}
    assert made.card.classes == ("0", "1", "2")
    assert "100.0%" in shown
    assert shown.splitlines()[-1] == f"The bundle is {start / 'new'}."


def test_a_path_is_shown_as_it_is_however_long(start):
    place = start / "[red]" / ("x" * 200)
    shown = done("convert", start / "plain", "--out", place)
    assert shown.splitlines()[-1] == f"The bundle is {place}."


def test_a_bundle_keeps_its_answers_and_all_that_its_card_says(start, network):
    made, _ = convert(start, source=(start / "plain",))
    given = bundle.load(start / "plain").card
    assert_same_function(network, made.model, IMAGES)
    assert made.card.model_copy(update={"arguments": {}}) == given
    assert set(made.card.arguments) == {"spectrum"}


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ("3", {"conv1": None, "layer1.0.conv1": 3, "layer2.0.conv2": 3, "layer3.0.conv2": 3}),
        ("full,3,2", {"conv1": None, "layer1.0.conv1": None, "layer2.0.conv2": 3, "layer3.0.conv2": 2}),
        (PATTERNS, {"conv1": None, "layer1.0.conv1": None, "layer2.0.conv2": 3, "layer3.0.conv2": 1}),
        ("5", dict.fromkeys(("conv1", "layer1.0.conv1", "layer3.0.conv2"))),
    ],
)
def test_levels_are_one_or_one_a_stage_or_by_name(start, levels, wanted):
    made, shown = convert(start, "--levels", levels)
    found = harmonic_levels(made.model)
    assert {name: found[name] for name in wanted} == wanted
    kept = {None: "9/9", 3: "6/9", 2: "3/9", 1: "1/9"}
    rows = {line.split("│")[1].strip(): line for line in shown.splitlines() if "conv" in line}
    assert all(kept[level] in rows[name] for name, level in wanted.items())


def test_the_root_has_a_level_of_its_own(start):
    made, _ = convert(start, "--levels", "3", "--root-level", "4")
    assert harmonic_levels(made.model)["conv1"] == 4


@pytest.mark.parametrize(
    ("select", "wanted"), [("root", ["conv1"]), ("layer3.*.conv1,conv1", ["conv1", "layer3.0.conv1"])]
)
def test_only_the_selected_layers_become_harmonic(start, select, wanted, network):
    made, _ = convert(start, "--select", select)
    assert list(harmonic_levels(made.model)) == wanted
    assert_same_function(network, made.model, IMAGES)


def test_an_inner_norm_that_saw_the_images_keeps_the_answers(start, network):
    write_textures(start / "images", classes=3, each=8)
    made, _ = convert(start, "--norm-root", "--data", start / "images")
    norm = made.model.get_submodule("conv1.norm")
    assert norm.running_var.std() > 0
    assert norm.running_mean.abs().max() > 0
    assert_same_function(network, made.model, IMAGES)


def test_what_was_converted_can_be_cut_further(start):
    convert(start, "--levels", "full,3,3")
    done("convert", start / "new", "--levels", "full,3,2", "--out", start / "less")
    assert harmonic_levels(bundle.load(start / "less").model)["layer3.0.conv1"] == 2


def test_layers_that_stay_are_named_with_the_reason(tmp_path):
    options = {"block_args": {"attn_layer": "eca"}}
    torch.save(zoo.create("timm/test_resnet", 2, options=options).state_dict(), tmp_path / "net.pth")
    source = ("timm/test_resnet", "--weights", "net.pth")
    made, shown = convert(tmp_path, "--argument", f"options={json.dumps(options)}", source=source)
    assert "layer1.0.se.conv stays as it is: Conv1d is no two-dimensional convolution." in shown
    assert made.card.arguments["options"] == options


def test_a_network_without_a_layer_to_convert_is_told_why(tmp_path):
    torch.save(zoo.create("timm/test_nfnet", 2).state_dict(), tmp_path / "net.pth")
    said = refused("convert", "timm/test_nfnet", "--weights", tmp_path / "net.pth", "--out", tmp_path / "new")
    assert "ScaledStdConv2d computes something else" in said


@pytest.mark.parametrize(
    ("name", "content"), [("names.txt", "stone\nwood\ncloth\n"), ("names.csv", "id,name\n7,stone\n8,wood\n9,cloth\n")]
)
def test_classes_come_from_lines_or_a_csv(start, name, content):
    (start / name).write_text(content)
    assert convert(start, "--classes", start / name)[0].card.classes == NAMES


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["nowhere"], "no architecture 'nowhere'"),
        (["cifar_resnet80x", "--weights", "net.th"], "no architecture 'cifar_resnet80x'. Near: cifar_resnet"),
        (["cifar_resnet8"], "cifar_resnet8 comes without weights. Give a file: --weights FILE"),
        (["cifar_resnet8", "--weights", "gone.th"], "gone.th: cannot be read (No such file"),
        (["cifar_resnet14", "--weights", "net.th"], "30 missing: layer1.1.bn1.bias"),
    ],
)
def test_a_network_that_cannot_be_had_is_told(start, monkeypatch, source, message):
    monkeypatch.chdir(start)
    assert message in refused("convert", *source, "--out", "new")
    assert not (start / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--levels 3,2", "2 levels given, but the network has 3 stages"),
        ("--levels 0", "level must be None or 1 to 5"),
        ("--levels low", "levels 'low': wanted a number or 'full'"),
        ("--levels layer9.*=2", "is called 'layer9.*'. Some: conv1, layer1.0.conv1"),
        ("--select linear", "is called 'linear'"),
        ("--classes two.txt", "has 2 class names; the network answers 3"),
        ("--norm-root --data gone", "gone: no such file or folder"),
        ("--argument level", "an argument is written name=value"),
        ("--argument level=3", "does not take ['level']"),
        ("--argument classes=3", "--classes FILE gives their names"),
        ("--argument spectrum=3", "for each layer by name, not 3"),
    ],
)
def test_options_that_do_not_fit_are_told(start, monkeypatch, options, message):
    monkeypatch.chdir(start)
    (start / "two.txt").write_text("stone\nwood\n")
    assert message in refused("convert", "cifar_resnet8", "--weights", "net.th", *options.split(), "--out", "new")
    assert not (start / "new").exists()


@pytest.mark.parametrize("command", ["convert", "import", "compress"])
def test_a_place_that_is_taken_is_told_before_any_work(command, tmp_path):
    options = {"import": ["--architecture", "nobody"], "compress": ["--data", "gone", "--budget", "params=0.5"]}
    said = refused(command, "gone.pth", *options.get(command, []), "--out", tmp_path)
    assert said == f"{tmp_path} exists already. Choose another place, or remove it first."


class Payload:
    """What a hostile file would run."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("suffix", ["th", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_told_and_nothing_is_written(start, suffix, share):
    whole = (start / f"net.{suffix}").read_bytes()
    cut = start / f"cut.{suffix}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert f"cut.{suffix}: damaged" in refused("convert", "cifar_resnet8", "--weights", cut, "--out", start / "new")
    assert not (start / "new").exists()


@pytest.mark.parametrize("suffix", ["th", "safetensors"])
def test_a_file_with_code_is_refused_and_never_run(start, suffix, capsys):
    torch.save({"state_dict": {"conv1.weight": Payload()}}, start / f"bad.{suffix}")
    said = refused("convert", "cifar_resnet8", "--weights", start / f"bad.{suffix}", "--out", start / "new")
    assert f"bad.{suffix}: damaged" in said
    assert "executed" not in capsys.readouterr().out


def test_a_bundle_whose_card_is_wrong_is_told(start):
    path = start / "plain" / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architecture": "cifar_resnet14"}))
    assert "does not fit the architecture" in refused("convert", start / "plain", "--out", start / "new")
