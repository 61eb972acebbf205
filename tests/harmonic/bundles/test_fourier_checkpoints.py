"""Complex checkpoints of the original: an independent complex evaluation gives the imported network's answers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic import zoo
from harmonic.bundles.fourier_checkpoints import load_original
from harmonic.errors import BundleError
from tests.support.fourier_original import CLASSES, GRID, HIDDEN, TAPS, WIDTHS, checkpoint


def network() -> nn.Module:
    return zoo.create("fourier_mnist", CLASSES, widths=WIDTHS, hidden=HIDDEN)


def original(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The original's logits at the largest scale, on full complex spectra, with every resolution, in its own terms."""
    size, spectrum = x.shape[-1], torch.fft.fft2(x, norm="forward")
    for i in range(len(WIDTHS)):
        mixing = torch.complex(state[f"conv{i}.conv_r.weight"], state[f"conv{i}.conv_i.weight"])[:, :, 0, 0].to(
            spectrum
        )
        spectrum = complex_convolution(spectrum, state[f"L{i}.L"]) + torch.einsum("oi,nikl->nokl", mixing, spectrum)
        signal = torch.fft.ifft2(spectrum, norm="forward").real
        spectrum = torch.fft.fft2(nonlinearity(signal, state, i), norm="forward")
    features = torch.fft.ifft2(spectrum, norm="forward").real
    grid = resampled(features, size, 28)
    pooled = F.max_pool2d(grid, 14, ceil_mode=True).flatten(1)
    layer = lambda place: (state[f"res_dict.{place}.weight"], state[f"res_dict.{place}.bias"])  # noqa: E731
    hidden = F.linear(F.layer_norm(pooled, pooled.shape[1:], *layer(0)), *layer(2))
    return F.linear(F.relu(F.layer_norm(hidden, hidden.shape[1:], *layer(4))), *layer(6))


def complex_convolution(spectrum: Tensor, modes: Tensor) -> Tensor:
    size = spectrum.shape[-1]
    padded = torch.zeros(*modes.shape[:2], GRID, GRID, dtype=modes.dtype)
    padded[..., :TAPS, :TAPS] = torch.fft.ifft2(modes)
    response, edge = torch.fft.fft2(padded), min(GRID // 2, size // 2)
    kept = [*range(edge + size % 2), *range(-edge, 0)]
    result = torch.zeros(len(spectrum), modes.shape[1], size, size, dtype=spectrum.dtype)
    for k in kept:
        for m in kept:
            result[:, :, k, m] = spectrum[:, :, k, m] @ response[:, :, k, m].to(spectrum)
    return result


def nonlinearity(x: Tensor, state: dict[str, Tensor], stage: int) -> Tensor:
    size = x.shape[-1]
    assembled = torch.zeros(*x.shape[:2], size, size // 2 + 1, dtype=torch.complex128)
    for r in range(6, size + 1):
        weight, bias = state[f"NL{stage}.norm.{r}.weight"], state[f"NL{stage}.norm.{r}.bias"]
        z = torch.fft.rfft2(F.relu(F.instance_norm(resampled(x, r, r), weight=weight, bias=bias)), norm="forward")
        h = r // 2
        rows = (*range(h), *range(-h, 0)) if r == 6 else (h, -h) if r % 2 else (-h,)
        for k in rows:
            assembled[:, :, k, : h + 1] = z[:, :, k, : h + 1]
        for k in (*range(h + r % 2), *range(-h, 0)):
            assembled[:, :, k, h] = z[:, :, k, h]
    return torch.fft.irfft2(assembled, s=(size, size), norm="forward")


def resampled(x: Tensor, modes: int, target: int) -> Tensor:
    spectrum, edge = torch.fft.rfft2(x, norm="forward"), min(modes, x.shape[-1]) // 2
    cropped = torch.zeros(*x.shape[:2], target, target // 2 + 1, dtype=torch.complex128)
    for k in (*range(edge + modes % 2), *range(-edge, 0)):
        cropped[:, :, k, : edge + 1] = spectrum[:, :, k, : edge + 1]
    return torch.fft.irfft2(cropped, s=(target, target), norm="forward")


@torch.no_grad()
@pytest.mark.parametrize("size", [28, 27, 21, 9])
def test_an_imported_checkpoint_gives_the_originals_logits(size):
    state = {
        key: value.to(torch.complex128 if value.is_complex() else torch.float64) for key, value in checkpoint().items()
    }
    x = torch.randn(2, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    imported = load_original(state, network().double()).eval()

    assert torch.allclose(imported.scales(x)[:, -1], original(state, x), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"L0.L": None}, "missing: stages.0.spectral.weight"),
        ({"L9.L": torch.zeros(1, 1, 5, 5, dtype=torch.complex64)}, "left over"),
        ({"what": torch.zeros(1)}, "left over: what"),
        ({"NL0.norm.99.weight": torch.zeros(3)}, "left over"),
        ({"conv0.conv_r.weight": torch.zeros(2, 1, 1, 1)}, "wrong shape"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(change, complaint):
    state = {key: value for key, value in {**checkpoint(), **change}.items() if value is not None}

    with pytest.raises(BundleError, match=complaint):
        load_original(state, network())


def test_a_network_with_bands_is_refused():
    with pytest.raises(BundleError, match="MNIST-scale"):
        load_original(checkpoint(), zoo.create("fourier_stl", CLASSES, widths=(2, 2), hidden=4))
