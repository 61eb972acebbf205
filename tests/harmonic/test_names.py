"""Names that people import: those at the top, which load nothing until they are used, and the paths of before."""

import subprocess
import sys
from importlib import import_module

import pytest

import harmonic
from tests.support.house import ROOT

OFFERED = {
    "BandNormConv2d": "harmonic.layers",
    "HammingConv2d": "harmonic.layers",
    "HarmonicConv2d": "harmonic.layers",
    "create": "harmonic.zoo",
    "dct_bank": "harmonic.layers",
    "features_only": "harmonic.graph.backbone",
    "harmonise": "harmonic.conversion",
    "import_reference": "harmonic.bundles",
    "load": "harmonic.bundles.bundle",
    "Backbone": "harmonic.graph.backbone",
    "Bundle": "harmonic.bundles",
    "PixelSpec": "harmonic.pixels",
}

FORMER = [
    ("harmonic.basis", "dct_bank"),
    ("harmonic.convert", "harmonise"),
    ("harmonic.reference", "import_reference"),
    ("harmonic.layers", "HarmonicConv2d"),
    ("harmonic.layers", "BandNormConv2d"),
    ("harmonic.pixels", "PixelSpec"),
    ("harmonic.zoo", "create"),
]


def test_the_list_of_names_is_this_one():
    assert set(harmonic.__all__) == {*OFFERED, "__version__"}
    assert set(harmonic.__all__) <= set(dir(harmonic))


@pytest.mark.parametrize(("name", "home"), OFFERED.items())
def test_a_name_at_the_top_is_the_one_of_its_home(name, home):
    assert getattr(harmonic, name) is getattr(import_module(home), name)


@pytest.mark.parametrize(("path", "name"), FORMER)
def test_a_path_of_before_leads_to_the_same(path, name):
    assert getattr(import_module(path), name) is getattr(harmonic, name)


def test_what_conversion_had_is_still_at_its_path_of_before():
    from harmonic import conversion
    from harmonic import convert as former

    assert all(getattr(former, name) is getattr(conversion, name) for name in former.__all__)
    assert "as_plain" in former.__all__


def test_an_unknown_name_is_an_error_that_names_it():
    with pytest.raises(AttributeError, match="no attribute 'harmonize'"):
        harmonic.harmonize  # noqa: B018


def test_a_name_loads_its_home_when_it_is_used_and_not_before():
    look = "print('torch' in sys.modules)"
    code = f"import sys, harmonic; {look}; harmonic.dct_bank; {look}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=600
    )
    assert done.stdout.split() == ["False", "True"]
