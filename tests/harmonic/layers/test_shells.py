"""Scale-equivariant non-linearities: the defining property in float64, and the equalities that make them cheap."""

import pytest
import torch
from torch import Tensor, nn

from harmonic import zoo
from harmonic.errors import SpectrumError
from harmonic.layers.shells import Matrices, ShellActivation, resolutions
from harmonic.pixels import resampler
from tests.support.equivariance import EXACT, equivariance_error, shrunk


def activation(base: int, largest: int, **settings: int) -> ShellActivation:
    torch.manual_seed(0)
    layer = ShellActivation(3, base, largest, **settings).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("smaller", [7, 9, 13, 21, 25])
def test_the_activation_commutes_with_shrinking_at_odd_sizes(smaller):
    assert equivariance_error(activation(6, 28), 27, smaller) < EXACT


@pytest.mark.parametrize("smaller", [9, 13, 17, 29])
@pytest.mark.parametrize("pool", [1, 2])
def test_bands_and_pooling_commute_with_shrinking_to_the_ends_of_bands(smaller, pool):
    assert equivariance_error(activation(9, 33, shells=2, pool=pool), 33, smaller) < EXACT


def test_between_the_ends_of_bands_they_do_not():
    assert equivariance_error(activation(9, 33, shells=2), 33, 15) > 1e-3


def test_a_shell_does_not_hear_of_higher_frequencies():
    layer, x = activation(6, 28), torch.randn(1, 3, 27, 27, dtype=torch.float64)
    louder = shrunk_and_back(x, 13) + 5 * (x - shrunk_and_back(x, 13))

    with torch.no_grad():
        quiet, loud = layer(x), layer(louder)

    assert torch.allclose(shrunk(quiet, 13), shrunk(loud, 13), atol=1e-12)
    assert not torch.allclose(quiet, loud, atol=1e-3)


def shrunk_and_back(x: Tensor, modes: int) -> Tensor:
    return Matrices(resampler(x.shape[-1], x.shape[-1], modes))(x)


@pytest.mark.parametrize("size", [6, 7, 8, 14, 27, 28])
def test_the_activations_matrices_give_what_fourier_transforms_give(size):
    layer, x = activation(6, 28), torch.randn(2, 3, size, size, dtype=torch.float64)

    with torch.no_grad():
        assert torch.allclose(layer(x), by_transforms(layer, x), atol=1e-12)
        assert torch.allclose(layer.at_size(size)(x), layer(x), atol=1e-12)


def by_transforms(layer: ShellActivation, x: Tensor) -> Tensor:
    """Every resolution from base to the image's, even ones included, shell by shell, as the source states it."""
    size, assembled = x.shape[-1], None
    for r in range(layer.base, size + 1):
        z = torch.fft.rfft2(layer.rectified(resampled(x, r), r), norm="forward")
        h = r // 2
        if assembled is None:
            assembled = torch.zeros(*x.shape[:2], size, size // 2 + 1, dtype=torch.complex128)
            for k in (*range(h), *range(-h, 0)):
                assembled[:, :, k, : h + 1] = z[:, :, k, : h + 1]
            continue
        for k in (h, -h) if r % 2 else (-h,):
            assembled[:, :, k, : h + 1] = z[:, :, k, : h + 1]
        for k in (*range(h + r % 2), *range(-h, 0)):
            assembled[:, :, k, h] = z[:, :, k, h]
    return torch.fft.irfft2(assembled, s=(size, size), norm="forward")


def resampled(x: Tensor, target: int) -> Tensor:
    spectrum, edge = torch.fft.rfft2(x, norm="forward"), target // 2
    cropped = torch.zeros(*x.shape[:2], target, target // 2 + 1, dtype=torch.complex128)
    for k in (*range(edge + target % 2), *range(-edge, 0)):
        cropped[:, :, k, : edge + 1] = spectrum[:, :, k, : edge + 1]
    return torch.fft.irfft2(cropped, s=(target, target), norm="forward")


def test_even_resolutions_below_the_images_own_are_never_computed():
    assert [r for r, _ in resolutions(28, 6, 1)] == [6, *range(7, 28, 2), 28]
    assert [r for r, _ in resolutions(27, 6, 1)] == [6, *range(7, 28, 2)]
    assert resolutions(97, 41, 4) == [(2 * top + 1, top) for top in range(20, 49, 4)]


def test_pooling_halves_the_size_rounding_up():
    assert activation(9, 33, shells=2, pool=2)(torch.zeros(1, 3, 33, 33, dtype=torch.float64)).shape[-1] == 17


def test_an_image_outside_the_layers_sizes_is_refused():
    with pytest.raises(SpectrumError, match="smaller"):
        activation(6, 28)(torch.zeros(1, 3, 5, 5, dtype=torch.float64))
    with pytest.raises(SpectrumError, match="larger"):
        activation(6, 28)(torch.zeros(1, 3, 31, 31, dtype=torch.float64))


@pytest.mark.parametrize("wrong", [{"base": 1}, {"base": 30}, {"shells": 0}, {"shells": 2}, {"pool": 2}])
def test_an_impossible_activation_is_refused(wrong):
    with pytest.raises(SpectrumError):
        ShellActivation(3, **{"base": 6, "largest": 28, **wrong})


def test_constants_first_made_in_inference_mode_serve_training_too():
    model = zoo.create("fourier_small", 3, widths=(2, 2, 2, 2), hidden=4)
    images = torch.full((2, 2, 11, 11), 11.0)  # a size that no other test asks for; the last plane says it
    images[:, 0] = torch.rand(2, 11, 11)
    with torch.inference_mode():
        model(images)
    model.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())
