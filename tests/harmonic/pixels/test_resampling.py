"""Ideal resampling: exact at odd sizes, the stated rule at even ones, and the stage that serves any size."""

import numpy as np
import pytest
from PIL import Image

from harmonic.errors import PixelError, SpectrumError
from harmonic.pixels.prepare import prepare
from harmonic.pixels.resampling import low_pass, resampler, to_largest
from harmonic.pixels.spec import PixelSpec
from harmonic.zoo.fourier import MNIST


def noise(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, size, size))


def by_fft(x: np.ndarray, target: int, modes: int) -> np.ndarray:
    """The copy rule on half spectra, as the original states it."""
    spectrum = np.fft.rfft2(x, norm="forward")
    edge = min(modes // 2, x.shape[-1] // 2)
    rows = list(range(edge + modes % 2)) + list(range(-edge, 0))
    cropped = np.zeros((len(x), target, target // 2 + 1), dtype=complex)
    cropped[:, rows, : edge + 1] = spectrum[:, rows, : edge + 1]
    return np.fft.irfft2(cropped, s=(target, target), norm="forward")


@pytest.mark.parametrize("size", [7, 8, 13, 27, 28])
@pytest.mark.parametrize("target", [6, 7, 12, 13, 27, 28])
def test_matrices_do_what_cropping_or_padding_the_spectrum_does(size, target):
    if size % 2 == 0 and target % 2 and target > size:
        pytest.skip("an even size's outermost frequency has no counterpart on a finer odd grid")

    assert np.allclose(resampler(size, target)(noise(size)), by_fft(noise(size), target, target), atol=1e-12)


@pytest.mark.parametrize("modes", [8, 9, 20, 27, 28])
def test_fewer_modes_than_pixels_are_a_low_pass(modes):
    assert np.allclose(resampler(28, 28, modes)(noise(28)), by_fft(noise(28), 28, modes), atol=1e-12)


@pytest.mark.parametrize(("small", "large"), [(7, 9), (9, 28), (21, 27)])
def test_up_and_down_again_is_the_identity_at_odd_sizes(small, large):
    x = noise(small)
    matrix = low_pass(small, large, small // 2)

    assert np.allclose(resampler(large, small)(matrix @ x @ matrix.T), x, atol=1e-12)


@pytest.mark.parametrize("wrong", [(0, 3, None), (3, 0, None), (8, 8, 9)])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(SpectrumError):
        resampler(*wrong)


@pytest.mark.parametrize("side", [8, 9, 15, 20, 27])
def test_a_small_image_loses_nothing_but_an_even_sizes_outermost_frequency(side):
    x = noise(side)
    without = low_pass(side, side, (side - 1) // 2)

    padded = to_largest(x, 28)

    back = resampler(28, side)(padded)
    assert np.allclose(back, without @ x @ without.T, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 8), (13, 13), (28, 28), (29, 40), (2000, 500), (500, 9)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_any_size_is_prepared_with_its_own_size_beside_it(size, mode):
    prepared = prepare(Image.new(mode, size, "gray"), MNIST)

    assert (prepared.shape, prepared.dtype, MNIST.shape) == ((28, 28, 2), np.float32, (28, 28, 2))
    assert np.allclose(prepared[..., 0], 128, atol=1e-3)
    assert (prepared[..., 1] == min(*size, 28)).all()


def test_an_image_of_the_models_size_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)

    assert np.array_equal(prepare(Image.fromarray(pixels), MNIST)[..., 0], pixels)


def test_an_image_below_the_smallest_size_is_refused():
    with pytest.raises(PixelError, match=r"7 pixels .* from 8"):
        prepare(Image.new("L", (7, 30)), MNIST)


@pytest.mark.parametrize("wrong", [{"width": 27}, {"smallest": 29}])
def test_a_spec_that_cannot_be_spectral_is_refused(wrong):
    with pytest.raises(ValueError, match="spectral"):
        PixelSpec.model_validate({**MNIST.model_dump(), **wrong})
