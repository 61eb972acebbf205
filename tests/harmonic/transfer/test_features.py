"""Features are computed once: the cache answers for images and weights that it knows, and for nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harmonic import zoo
from harmonic.bundles import Bundle, Card, Headed, with_new_head
from harmonic.data import digests
from harmonic.errors import RunError
from harmonic.pixels import PixelSpec
from harmonic.transfer import features as module
from harmonic.transfer.features import Kept, features
from tests.support.pictures import CLASSES, encoded, read, texture, write_zip


def headed(seed: int = 1, side: int = 12) -> Headed:
    torch.manual_seed(seed)
    card = Card(architecture="harm_wrn10_0.5", classes=("x", "y"), pixels=PixelSpec(height=side, width=side))
    return with_new_head(Bundle(card, zoo.create("harm_wrn10_0.5", 2).eval()), CLASSES)


@pytest.fixture
def images(tmp_path: Path):
    return read(
        write_zip(tmp_path / "a.zip", {f"{k}/{s}.png": encoded(texture(k, s)) for k in CLASSES for s in range(4)})
    )


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images were run, call by call."""
    counts: list[int] = []
    run = module.features_of

    def counted(network: Headed, batch: torch.Tensor) -> torch.Tensor:
        counts.append(len(batch))
        return run(network, batch)

    monkeypatch.setattr(module, "features_of", counted)
    return counts


def test_only_new_images_are_run(images, tmp_path: Path, computed: list[int]) -> None:
    cache, known = tmp_path / "cache", list(digests(images))
    few = np.array([0, 3, 5])
    first = features(headed(), images.subset(few), [known[i] for i in few], cache, "few")
    every = features(headed(), images, known, cache, "all")
    again = features(headed(), images, known, cache, "again")
    assert computed == [3, 9]
    assert np.array_equal(every[few], first)
    assert np.array_equal(every, again)
    np.testing.assert_allclose(every, features(headed(), images, known, None, "none"), atol=1e-5)


def test_a_folder_and_a_zip_share_a_cache(images, tmp_path: Path, computed: list[int]) -> None:
    """A zip's numbers of images, its checksums, are shorter than a folder's."""
    for kind in CLASSES:
        (tmp_path / "b" / kind).mkdir(parents=True)
        for seed in (8, 9):
            (tmp_path / "b" / kind / f"{seed}.png").write_bytes(encoded(texture(kind, seed)))
    others, cache = read(tmp_path / "b"), tmp_path / "cache"
    wanted = [features(headed(), one, list(digests(one)), cache, "") for one in (images, others)]
    again = [features(headed(), one, list(digests(one)), cache, "") for one in (images, others)]
    assert computed == [12, 6]
    assert all(np.array_equal(one, other) for one, other in zip(wanted, again, strict=True))


def test_other_weights_and_another_size_are_other_features(images, tmp_path: Path, computed: list[int]) -> None:
    cache, known = tmp_path / "cache", list(digests(images))
    one, two, large = (features(net, images, known, cache, "") for net in (headed(1), headed(2), headed(1, 16)))
    assert computed == [12, 12, 12]
    assert not np.allclose(one, two)
    assert not np.allclose(one, large)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half", b"no archive"])
def test_a_damaged_cache_is_made_again(images, tmp_path: Path, computed: list[int], damage: bytes) -> None:
    cache, known = tmp_path / "cache", list(digests(images))
    wanted = features(headed(), images, known, cache, "")
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert np.array_equal(features(headed(), images, known, cache, ""), wanted)
    assert computed == [12, 12]
    assert file.stat().st_size > len(damage)


def test_what_was_computed_before_a_stop_is_kept(
    images, tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, known, run = tmp_path / "cache", list(digests(images)), module.features_of
    monkeypatch.setattr(module, "_BATCH", 5)

    def stopped(network: Headed, batch: torch.Tensor) -> torch.Tensor:
        if sum(computed) >= 10:
            raise KeyboardInterrupt
        return run(network, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "features_of", stopped)
        features(headed(), images, known, cache, "")
    assert len(features(headed(), images, known, cache, "")) == 12
    assert computed == [5, 5, 2]


def test_a_cache_is_read_once_to_count_and_to_answer(images, tmp_path: Path, computed: list[int]) -> None:
    cache, known = tmp_path / "cache", list(digests(images))
    features(headed(), images.subset(np.arange(4)), known[:4], cache, "few")
    kept = Kept(headed(), cache)
    (file,) = cache.iterdir()
    file.unlink()
    assert kept.unknown(known) == 8
    assert len(kept.of(images, known, "all")) == 12
    assert computed == [4, 8]
    assert kept.unknown(known) == 0


@pytest.mark.parametrize("folder", ["/proc/nothing", "file/below"])
def test_a_cache_that_cannot_be_written_is_told(images, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written: .* name another folder in HARMONIC_CACHE"):
        features(headed(), images, list(digests(images)), tmp_path / folder, "")
