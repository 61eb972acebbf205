"""A law over the registry: compressed by half, a network answers as it did at least as much as a truncated one does."""

import numpy as np
import pytest

from harmonic.bundles import Bundle, Card
from harmonic.compression import Bench, compress_bundle, fully_harmonic, with_cuts
from harmonic.compression.choice import Budget
from harmonic.compression.prices import least, parameter_prices
from harmonic.graph import parameters
from tests.support.laws import family, randomised, small_pixels, stand_in, stand_in_names

# No filter bank is in these, or in none of their spatial convolutions.
WITHOUT = {"fourier_mnist", "fourier_small", "fourier_stl", "scale_cnn", "hamming_resnet18"}
LARGE = 1_000_000  # parameters: solving for so many takes minutes


def small_stand_ins():
    return [n for n in stand_in_names() if n not in WITHOUT and parameters(stand_in(n)) < LARGE]


def smooth_images(name, count):
    """Generated images with structure, prepared for a family's stand-in."""
    spec = small_pixels(name)
    rng, (rows, columns, channels) = np.random.default_rng(0), spec.shape
    coarse = rng.integers(0, 256, (count, -(-rows // 4), -(-columns // 4), channels))
    pixels = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :rows, :columns]
    return Bench(np.ascontiguousarray(pixels).astype(spec.dtype), spec)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sets", ["levels", "channel"])
@pytest.mark.parametrize("name", small_stand_ins())
def test_compressed_by_half_no_network_answers_less_as_it_did_than_truncated(name, sets):
    architecture, arguments = family(name).stand_in
    model, bench = randomised(stand_in(name)).eval(), smooth_images(name, 60)
    card = Card(architecture=architecture, arguments=arguments, classes=("a", "b", "c"), pixels=bench.spec)
    whole = fully_harmonic(model)
    half = (parameters(whole) + least(whole, parameter_prices(whole))) / 2 / parameters(whole)
    _, outcome = compress_bundle(Bundle(card, model), bench, Budget("params", half), sets=sets)
    held_out = bench.parted(0.2)[1]
    plain = held_out.answers(with_cuts(whole, outcome.cuts)).divergence(held_out.answers(model))
    assert outcome.parameters[1] <= half * parameters(whole)
    # Equal where truncation loses nothing: random weights let some stand-ins answer all images alike.
    assert outcome.divergence <= 1.001 * plain
