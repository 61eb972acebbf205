"""A norm that follows traffic: bounded, resettable, frozen until told, and back at training's statistics."""

import pytest
import torch

from service.runtime.adaptive_norm import AdaptiveNorm, FrozenNorm

MEAN, VAR, EPS = torch.tensor([0.5, -1.0]), torch.tensor([0.25, 4.0]), 1e-5


def bands(count: int, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 2, 6, 5, generator=torch.Generator().manual_seed(seed)) + shift


def adaptive(window: int = 8) -> AdaptiveNorm:
    return AdaptiveNorm(MEAN, VAR, EPS, window)


def test_frozen_is_batch_norm_in_evaluation():
    norm = torch.nn.BatchNorm2d(2, affine=False).eval()
    norm.running_mean, norm.running_var = MEAN, VAR
    torch.testing.assert_close(FrozenNorm(MEAN, VAR, EPS)(bands(3)), norm(bands(3)))


def test_an_adaptive_norm_is_frozen_until_it_is_told_to_follow():
    norm, frozen = adaptive(), FrozenNorm(MEAN, VAR, EPS)
    for seed in range(5):
        torch.testing.assert_close(norm(bands(4, seed, shift=3)), frozen(bands(4, seed, shift=3)))


def test_a_full_window_has_the_statistics_of_exactly_its_images():
    norm = adaptive(window=8)
    norm.follow_traffic()
    norm(bands(5, seed=9, shift=100))  # gone again, eight images later
    last = torch.cat([bands(3, seed=1, shift=2), bands(5, seed=2, shift=2)])
    norm(last[:3])
    found = norm(last[3:])
    mean, var = last.mean((0, 2, 3), keepdim=True), last.var((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(found, (last[3:] - mean) / torch.sqrt(var + EPS), rtol=1e-4, atol=1e-4)


def test_one_image_moves_a_long_window_little():
    norm, frozen = adaptive(window=1000), FrozenNorm(MEAN, VAR, EPS)
    norm.follow_traffic()
    assert (norm(bands(1)) - frozen(bands(1))).abs().max() < 0.02


def test_a_batch_larger_than_the_window_leaves_its_last_images():
    norm, same = adaptive(window=4), adaptive(window=4)
    norm.follow_traffic()
    same.follow_traffic()
    many = bands(11, seed=3)
    norm(many)
    same(many[-4:])
    torch.testing.assert_close(norm(many[-4:]), same(many[-4:]))


def test_a_reset_brings_trainings_statistics_back():
    norm = adaptive()
    norm.follow_traffic()
    norm(bands(30, shift=50))
    norm.reset()
    fresh = adaptive()
    fresh.follow_traffic()
    torch.testing.assert_close(norm(bands(2, seed=7)), fresh(bands(2, seed=7)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_image_of_no_numbers_does_not_poison_the_window(bad):
    norm = adaptive()
    norm.follow_traffic()
    spoilt = bands(3)
    spoilt[1] = bad
    norm(spoilt)
    assert torch.isfinite(norm(bands(2))).all()
