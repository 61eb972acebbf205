"""A compressed network comes closer to the whole one by learning from it, on images that it did not learn from."""

import copy
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from harmonic import data
from harmonic.compression.bench import Bench
from harmonic.compression.distill import Tuning, distilled
from harmonic.compression.refit import outer_norms
from harmonic.compression.sensitivity import fully_harmonic, with_cuts
from harmonic.conversion import harmonic_layers
from tests.support.compression import SPEC, network
from tests.support.textures import write_textures


def smooth(count, seed):
    """Images with structure, without labels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return Bench(coarse.repeat(4, axis=1).repeat(4, axis=2), SPEC)


@pytest.fixture(scope="module")
def whole():
    return fully_harmonic(network())


@pytest.fixture(scope="module")
def bench():
    return smooth(160, seed=1)


def truncated(whole):
    return with_cuts(whole, dict.fromkeys(harmonic_layers(whole), 2))


def divergence(whole, small, bench):
    return bench.answers(small).divergence(bench.answers(whole))


def same(one, other):
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


@pytest.fixture(scope="module")
def learned(whole, bench):
    small = truncated(whole)
    return small, distilled(small, whole, bench, Tuning(8))


def test_answers_come_closer_on_images_that_were_not_learned_from(whole, learned):
    others = smooth(100, seed=2)
    assert divergence(whole, learned[0], others) < 0.5 * divergence(whole, truncated(whole), others)


@pytest.mark.parametrize(("each", "learned_from"), [(30, 40 + 48), (5, 32 + 10)], ids=["enough", "too few"])
def test_it_is_judged_on_others_than_it_was_solved_on_where_there_are_enough(whole, tmp_path, each, learned_from):
    write_textures(tmp_path / "images", classes=2, each=each, side=16)
    others, own = data.read([tmp_path / "images"], "train"), smooth(40, seed=1)
    told = distilled(truncated(whole), whole, own, Tuning(1, others))
    on_own = divergence(whole, truncated(whole), own.parted(0.2)[1])
    assert told.images == learned_from
    assert (told.divergence[0] == pytest.approx(on_own)) == (each == 5)


def test_what_it_tells_is_what_it_did(whole, bench, learned):
    small, told = learned
    own, judge = bench.parted(0.2)
    assert (told.epochs, told.images, told.steps) == (8, len(own.pixels), (8, 8))
    assert told.divergence == pytest.approx(
        (divergence(whole, truncated(whole), judge), divergence(whole, small, judge))
    )
    assert not told.interrupted


def test_the_whole_network_and_the_norms_statistics_stay(whole, bench):
    before, small = copy.deepcopy(whole), truncated(whole)
    distilled(small, whole, bench, Tuning(2))
    assert same(before, whole)
    assert all(parameter.grad is None for parameter in whole.parameters())
    for name, norm in outer_norms(small).items():
        assert torch.equal(norm.running_mean, outer_norms(whole)[name].running_mean)
        assert torch.equal(norm.running_var, outer_norms(whole)[name].running_var)


def test_equal_seeds_give_equal_bits_and_others_do_not(whole, bench):
    one, again, other = (truncated(whole) for _ in range(3))
    for small, seed in ((one, 1), (again, 1), (other, 2)):
        distilled(small, whole, bench.some(130), Tuning(2, seed=seed))
    assert same(one, again)
    assert not same(one, other)


def seen(whole, small, bench, monkeypatch, instructions):
    """What the whole network is given while it teaches, and its answers, on a processor with these instructions."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    batches = []

    def note(module, inputs, output):
        batches.append((inputs[0].clone(), output))

    # Measuring runs copies of the network in inference mode; teaching does not.
    with whole.register_forward_hook(lambda *given: None if torch.is_inference_mode_enabled() else note(*given)):
        distilled(small, whole, bench, Tuning(1))
    return batches


def test_half_of_the_images_by_chance_are_mirrored(whole, bench, monkeypatch):
    ((images, _),) = seen(whole, truncated(whole), bench, monkeypatch, {})
    known = torch.cat(bench.batches(torch.device("cpu")))
    as_they_are, mirrored = (
        sum(bool((turned == image).flatten(1).all(1).any()) for image in images) for turned in (known, known.flip(3))
    )
    assert as_they_are + mirrored == len(images) == 128
    assert 32 < mirrored < 96


@pytest.mark.parametrize("instructions", [{}, {"avx512_bf16": True}])
def test_it_computes_in_bfloat16_where_the_processor_has_units_for_it(whole, bench, monkeypatch, instructions):
    ((_, answers),) = seen(whole, truncated(whole), bench, monkeypatch, instructions)
    assert answers.dtype == (torch.bfloat16 if instructions else torch.float32)


def test_nothing_better_leaves_the_network_as_it_was(whole, bench):
    """A copy of the whole network answers as it does already."""
    small = copy.deepcopy(whole)
    told = distilled(small, whole, bench.some(20), Tuning(2))
    assert same(small, whole)
    assert told.divergence == (0, 0)


def test_what_cannot_be_computed_ends_it_with_the_best_state(whole, bench):
    broken = copy.deepcopy(whole)
    with torch.no_grad():
        broken.linear.bias.fill_(float("nan"))
    small, begun = truncated(whole), truncated(whole)
    told = distilled(small, broken, bench.some(30), Tuning(3))
    assert told.steps == (1, 3)
    assert same(small, begun)


def test_ctrl_c_keeps_the_best_so_far(whole, bench):
    def pressed(steps, title):
        for number, step in enumerate(steps):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    small = truncated(whole)
    told = distilled(small, whole, bench, Tuning(8), pressed)
    assert told.interrupted
    assert told.steps == (3, 8)
    assert told.divergence[1] < told.divergence[0]
    judge = bench.parted(0.2)[1]
    assert divergence(whole, small, judge) == pytest.approx(told.divergence[1])


def test_the_last_state_is_kept_though_an_earlier_one_was_a_little_closer(whole, bench):
    small, judge, closest = truncated(whole), bench.parted(0.2)[1], []

    def disturbed(steps, title):
        for number, step in enumerate(steps):
            if number == 7:
                closest.append(divergence(whole, small, judge))
                with torch.no_grad():
                    small.linear.bias[0] += 0.1
            yield step

    told = distilled(small, whole, bench, Tuning(8), disturbed)
    assert closest[0] < told.divergence[1] < told.divergence[0]
    assert divergence(whole, small, judge) == pytest.approx(told.divergence[1])


def test_networks_without_norms_learn_too():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3), nn.AdaptiveAvgPool2d(1))
    torch.manual_seed(0)
    whole = fully_harmonic(nn.Sequential(model, nn.Flatten()))
    small, bench = truncated(whole), smooth(40, seed=3)
    told = distilled(small, whole, bench, Tuning(8))
    assert told.divergence[1] < told.divergence[0]
