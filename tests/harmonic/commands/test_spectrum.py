"""`harmonic spectrum`: table, JSON and pictures of a bundle, plain or harmonic."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.pixels import PixelSpec
from tests.support.commands import done, harmonic, refused


def saved(folder, architecture, **arguments):
    torch.manual_seed(0)
    card = bundle.Card(
        architecture=architecture, arguments=arguments, classes=("a", "b"), pixels=PixelSpec(height=16, width=16)
    )
    bundle.save(bundle.Bundle(card, zoo.create(architecture, 2, **arguments)), folder)
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A harmonic network whose groups have other levels."""
    return saved(tmp_path_factory.mktemp("spectrum") / "cut", "harm_wrn10_1", level=[None, 3, 2])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("spectrum") / "plain", "cifar_resnet8")


def test_the_table_has_a_row_for_every_layer_and_a_column_for_every_diagonal(cut):
    rows = [line.split("│") for line in done("spectrum", cut).splitlines() if "│" in line]
    assert len(rows) == 7
    by_layer = {row[1].strip(): [cell.strip() for cell in row[2:-1]] for row in rows}
    assert by_layer["root"][0] == "9/9"
    assert by_layer["groups.1.0.conv1"][0] == "6/9"
    assert by_layer["groups.2.0.conv0"][0] == "3/9"
    assert by_layer["groups.2.0.conv0"][3:] == ["-", "-", "-"]
    for cells in by_layer.values():
        assert sum(float(cell) for cell in cells[1:] if cell != "-") == pytest.approx(100, abs=0.3)


def test_json_is_json_alone_and_every_share_sums_to_one(cut):
    layers = json.loads(done("spectrum", cut, "--json"))
    assert layers[0]["layer"] == "root"
    assert [layer["level"] for layer in layers] == [None, None, None, 3, 3, 2, 2]
    for layer in layers:
        assert sum(layer["weight"]) == pytest.approx(1)
        assert sum(layer["energy"]) == pytest.approx(1)
        assert len(layer["frequencies"]) == {None: 9, 3: 6, 2: 3}[layer["level"]]


def test_pictures_are_written_beside_the_table_and_open(cut, tmp_path):
    ended = harmonic("spectrum", cut, "--out", tmp_path / "a.png", "--out", tmp_path / "a.svg")
    assert ended.exit_code == 0
    assert "groups.2.0.conv1" in ended.stdout
    assert f"{tmp_path / 'a.svg'} is written." in ended.stderr
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    svg = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.findall(".//{http://www.w3.org/2000/svg}path")


def test_pictures_leave_json_alone(cut, tmp_path):
    shown = done("spectrum", cut, "--json", "--out", tmp_path / "a.png")
    assert len(json.loads(shown)) == 7


def test_a_plain_network_is_seen_through_its_conversion(plain, tmp_path):
    done("convert", plain, "--out", tmp_path / "harmonic")
    before, after = (json.loads(done("spectrum", folder, "--json")) for folder in (plain, tmp_path / "harmonic"))
    assert [layer["layer"] for layer in before] == [layer["layer"] for layer in after]
    for one, other in zip(before, after, strict=True):
        assert one["frequencies"] == other["frequencies"]
        assert one["weight"] == pytest.approx(other["weight"], abs=1e-6)
        assert one["energy"] == pytest.approx(other["energy"], abs=1e-6)


def test_a_picture_of_another_kind_is_told(plain, tmp_path):
    assert "a picture is a .png, .svg or .pdf file" in refused("spectrum", plain, "--out", tmp_path / "a.jpg")


def test_a_picture_gets_its_folder_or_is_told(plain, tmp_path):
    done("spectrum", plain, "--out", tmp_path / "new" / "a.svg")
    assert (tmp_path / "new" / "a.svg").is_file()
    place = tmp_path / "new" / "a.svg" / "b.png"
    assert f"{place}: cannot be written" in refused("spectrum", plain, "--out", place)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_bundle_is_told(tmp_path, content):
    if content is not None:
        (tmp_path / "bundle.json").write_bytes(content)
    said = refused("spectrum", tmp_path)
    assert str(tmp_path) in said
    assert "bundle.json" in said
