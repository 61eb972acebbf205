import pytest

from harmonic.errors import PixelError
from harmonic.pixels.spec import PixelSpec


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 0},
        {"width": 5000},
        {"mode": "RGBA"},
        {"fit": "stretch"},
        {"crop_fraction": 0},
        {"crop_fraction": 1.5},
        {"interpolation": "nearest"},
        {"mean": (0.5,)},
        {"std": (1, 1, 0)},
        {"std": (1, 1, -1)},
        {"std": (1, 1, float("nan"))},
        {"mean": (float("inf"), 0, 0)},
        {"mode": "L"},
        {"colour": "RGB"},
    ],
)
def test_an_impossible_spec_is_refused(fields):
    with pytest.raises(ValueError, match="PixelSpec"):
        PixelSpec(**{"height": 32, "width": 32, **fields})


def test_a_spec_survives_json():
    spec = PixelSpec(height=28, width=20, mode="L", fit="squash", mean=(0.1307,), std=(0.3081,))
    assert PixelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_spec_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        PixelSpec(height=3, width=3).height = 4


def test_a_spec_without_the_scale_of_jpegs_is_one_that_decodes_everything():
    """So read those that were written before there was a choice."""
    assert PixelSpec.model_validate_json('{"height": 8, "width": 8}').jpeg_scale == "full"


def test_ideal_resampling_wants_every_pixel():
    with pytest.raises(ValueError, match="jpeg_scale must be 'full'"):
        PixelSpec(height=8, width=8, fit="spectral", jpeg_scale="reduced")
    with pytest.raises(PixelError, match="jpeg_scale must be 'full'"):
        PixelSpec(height=8, width=8, fit="spectral").decoding("reduced")
