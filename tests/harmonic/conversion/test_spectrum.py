"""The spectrum of a network: shares for each frequency of each layer, as figures, table and picture."""

import json

import pytest
import torch
from rich.console import Console
from torch import nn

from harmonic.analysis import draw_spectrum
from harmonic.conversion.convert import harmonise
from harmonic.conversion.spectrum import spectrum, spectrum_table
from harmonic.errors import PictureError, SpectrumError
from harmonic.layers import BandNormConv2d, HarmonicConv2d, dct_bank


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(BandNormConv2d(3, 4, 7), nn.ReLU(), HarmonicConv2d(4, 6, 3, level=2), nn.Conv2d(6, 6, (1, 5)))


def test_shares_of_every_layer_sum_to_one(model):
    layers = spectrum(model)
    assert [layer["layer"] for layer in layers] == ["0", "2", "3"]
    for layer in layers:
        assert len(layer["frequencies"]) == len(layer["weight"]) == len(layer["energy"])
        assert sum(layer["weight"]) == pytest.approx(1)
        assert sum(layer["energy"]) == pytest.approx(1)


def test_a_kernel_of_one_frequency_has_all_its_weight_there():
    conv = nn.Conv2d(2, 2, 3)
    with torch.no_grad():
        conv.weight.copy_(dct_bank(3)[5].expand(2, 2, 3, 3))
    (layer,) = spectrum(nn.Sequential(conv))
    assert layer["frequencies"][5] == [1, 2]
    assert layer["weight"][5] == pytest.approx(1)
    assert layer["energy"][5] == pytest.approx(1)


def test_a_plain_network_and_its_conversion_have_one_spectrum():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5))
    for before, after in zip(spectrum(plain), spectrum(harmonise(plain)), strict=True):
        assert before["weight"] == pytest.approx(after["weight"])


def test_the_spectrum_is_json_and_reads_alike_in_training(model):
    assert json.loads(json.dumps(spectrum(model.train()))) == spectrum(model.eval())


def test_a_network_without_convolutions_has_an_empty_spectrum_and_no_picture(tmp_path):
    layers = spectrum(nn.Linear(2, 2))
    assert layers == []
    with pytest.raises(SpectrumError, match="no spatial convolution"):
        spectrum_table(layers)
    with pytest.raises(SpectrumError, match="no spatial convolution"):
        draw_spectrum(layers, tmp_path / "a.png", title="none")


def test_the_table_names_every_layer(model):
    with (console := Console(width=120)).capture() as printed:
        console.print(spectrum_table(spectrum(model)))
    text = printed.get()
    assert "49/49" in text
    assert "3/9" in text
    assert "5/5" in text


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_a_picture_is_written_in_the_format_of_its_suffix(model, tmp_path, name, start):
    draw_spectrum(spectrum(model), tmp_path / name, title="a network")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_same_spectrum_draws_the_same_svg(model, tmp_path):
    for name in ("one.svg", "two.svg"):
        draw_spectrum(spectrum(model), tmp_path / name, title="a network")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_an_unknown_picture_format_is_told(model, tmp_path):
    with pytest.raises(PictureError, match=r"\.png, \.svg or \.pdf"):
        draw_spectrum(spectrum(model), tmp_path / "a.jpg", title="a network")
