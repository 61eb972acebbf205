from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harmonic.data import Images
from harmonic.errors import DataError, DeviceError
from harmonic.pixels import PixelSpec, prepare
from harmonic.training import loaders as module
from harmonic.training.loaders import EpochSampler, loaders, split
from harmonic.training.recipe import Recipe
from harmonic.training.sharing import Share, sharing

SPEC = PixelSpec(height=6, width=6)


def recipe(augment=None, validation=0.25, batch=8):
    return Recipe.model_validate(
        {
            "title": "t",
            "model": {"architecture": "wrn10_1"},
            "data": {"validation": validation},
            "augment": augment or {},
            "train": {"epochs": 1, "batch": batch, "schedule": {"kind": "one-cycle"}},
        }
    )


def ramp(index):
    """A picture larger and longer than the model's input, that only its number makes."""
    values = np.random.default_rng(index).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    return Image.fromarray(values)


def images(count=40):
    return Images("ramps", ("a", "b"), np.arange(count) % 2, [f"r{i}" for i in range(count)], ramp)


def views(loader):
    return {(image.numpy().tobytes(), int(label)) for batch in loader for image, label in zip(*batch, strict=True)}


def test_an_epoch_takes_every_index_once_as_far_as_whole_batches_go():
    seen = list(EpochSampler(21, 4, seed=1))
    assert len(seen) == len(EpochSampler(21, 4, seed=1)) == 20
    assert len(set(seen)) == 20


def test_the_order_comes_from_seed_and_epoch():
    sampler, again = EpochSampler(50, 5, seed=1), EpochSampler(50, 5, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert [index for _, index in sampler] != [index for _, index in first]
    assert list(again) == first
    assert {epoch for epoch, _ in sampler} == {1}


def test_processes_share_an_epoch_without_overlap():
    shares = [list(EpochSampler(50, 8, 1, share=Share(rank, 4))) for rank in range(4)]
    assert [len(share) for share in shares] == [12] * 4
    assert len({index for share in shares for index in share}) == 48


@pytest.mark.parametrize("cached", [True, False])
def test_large_data_sets_are_read_again_and_seen_the_same(monkeypatch, cached):
    """Too large for memory and without random crops: every view is still the one that evaluation prepares."""
    monkeypatch.setattr(module, "_CACHED_BYTES", (4 << 30) if cached else 0)
    kept, held_out = split(recipe(), images())
    training, validation = loaders(recipe(), kept, held_out, SPEC)
    wanted = {(prepare(kept.open(i), SPEC).tobytes(), int(kept.labels[i])) for i in range(len(kept))}
    found = views(training)
    assert found <= wanted
    assert len(found) == len(kept) // 8 * 8
    assert views(validation) == {
        (prepare(held_out.open(i), SPEC).tobytes(), int(held_out.labels[i])) for i in range(len(held_out))
    }


def test_workers_and_memory_draw_the_same_views(monkeypatch):
    plan = recipe({"pad_crop": 2, "flip": True})
    found = []
    for limit in (4 << 30, 0):
        monkeypatch.setattr(module, "_CACHED_BYTES", limit)
        found.append(views(loaders(plan, images(), images(4), SPEC)[0]))
    assert found[0] == found[1]


def test_alternating_flips_show_each_image_both_ways_within_two_epochs():
    plan = recipe({"flip": "alternating"})
    training, _ = loaders(plan, images(), images(4), SPEC)
    epochs = []
    for epoch in range(4):
        training.sampler.set_epoch(epoch)
        epochs.append(views(training))
    first, second = epochs[:2]
    assert epochs[2] == first and epochs[3] == second
    assert not first & second
    # Which images are mirrored at first is drawn: neither all nor none.
    plain = {(prepare(image, SPEC).tobytes(), label) for image, label in ((ramp(i), i % 2) for i in range(40))}
    assert 8 < len(first & plain) < 32
    assert first | second == views(loaders(recipe(), images(), images(4), SPEC)[0]) | {
        (image.numpy()[:, ::-1].tobytes(), int(label))
        for batch in loaders(recipe(), images(), images(4), SPEC)[0]
        for image, label in zip(*batch, strict=True)
    }


def test_a_split_by_share_and_images_of_their_own():
    kept, held_out = split(recipe(), images())
    assert (len(kept), len(held_out)) == (30, 10)
    kept, held_out = split(recipe(), images(), images(6))
    assert (len(kept), len(held_out)) == (40, 6)


def test_without_validation_images_there_is_no_second_loader():
    kept, held_out = split(recipe(validation=0.0), images())
    assert loaders(recipe(), kept, held_out, SPEC)[1] is None


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="6 training images do not fill one batch of 8"):
        split(recipe(), images(8))


@pytest.mark.parametrize("world", [3, 8])
def test_a_batch_that_devices_cannot_share_is_refused(world):
    with pytest.raises(DeviceError, match=f"a batch of 8 cannot be shared by {world} devices"):
        loaders(recipe(), images(), images(4), SPEC, Share(0, world))


class Counting:
    """Opens ramps and remembers which; a helper has none to open."""

    def __init__(self):
        self.opened = []

    def __call__(self, index):
        self.opened.append(index)
        return ramp(index)


def test_every_image_is_decoded_once_whatever_the_number_of_processes(tmp_path):
    """And the processes' shares together are what one process has."""
    pictures = Counting()
    plan, counted = recipe(), replace(images(), open=pictures)
    kept, held_out = split(plan, counted)
    found = ([], [])
    for rank in range(2):
        place = tmp_path / "handed"
        place.mkdir(exist_ok=True)
        for views_of, loader in zip(found, loaders(plan, kept, held_out, SPEC, Share(rank, 2, place)), strict=True):
            views_of.append(views(loader))
    assert sorted(pictures.opened) == list(range(40))
    training, validation = loaders(plan, kept, held_out, SPEC)
    assert found[0][0] | found[0][1] == views(training)
    assert not found[0][0] & found[0][1]
    assert found[1][0] | found[1][1] == views(validation)
    assert not found[1][0] & found[1][1]


def test_with_fewer_validation_images_than_processes_each_sees_all():
    alone = views(loaders(recipe(), images(), images(2), SPEC)[1])
    assert len(alone) == 2
    for rank in range(4):
        assert views(loaders(recipe(), images(), images(2), SPEC, Share(rank, 4))[1]) == alone


def test_what_is_handed_over_is_gone_in_the_end_and_so_is_what_a_killed_run_left(tmp_path):
    (tmp_path / ".prepared.1").mkdir()
    with sharing(tmp_path, 0, 2, busy=False) as share:
        assert list(tmp_path.iterdir()) == [share.handed]
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_something_else_started_reads_for_itself(tmp_path):
    with sharing(tmp_path, 1, 2, busy=False) as share:
        assert not share.helps
        training, _ = loaders(recipe(), images(), images(4), SPEC, share)
        assert len(views(training)) == 20


@pytest.mark.parametrize("limit", [4 << 30, 0])
def test_batches_are_made_beside_the_arithmetic_only_where_that_helps(monkeypatch, limit):
    """On a GPU always; on the CPU where images must be decoded in every epoch."""
    monkeypatch.setattr(module, "_CACHED_BYTES", limit)
    on_cpu, on_gpu = (loaders(recipe(), images(), images(4), SPEC, Share(busy=busy))[0] for busy in (False, True))
    assert (on_cpu.num_workers > 0) == (limit == 0)
    assert on_gpu.num_workers > 0
