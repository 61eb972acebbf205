"""Images to learn from: those of the bench, then the others, as they would be prepared for the network."""

import numpy as np
import pytest

from harmonic import data
from harmonic.compression import pool as pools
from harmonic.compression.pool import Pool
from harmonic.data import prepare_all
from tests.support.compression import SPEC, calibration_images
from tests.support.textures import write_textures


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool") / "images"
    write_textures(folder, classes=2, each=3, side=12)
    return data.read([folder], "train")


@pytest.mark.parametrize("kept", [True, False], ids=["kept in memory", "prepared for each batch"])
def test_a_pool_is_the_bench_then_the_others(others, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr(pools, "_CACHED_BYTES", 0)
    bench = calibration_images()
    pool = Pool(bench, others)
    prepared = prepare_all(others, SPEC, title="all")
    assert len(pool) == 24 + 6
    taken = pool.taken(np.array([29, 0, 24, 23])).numpy()
    assert np.array_equal(taken, np.stack([prepared[5], bench.pixels[0], prepared[0], bench.pixels[23]]))


def test_a_pool_without_others_is_the_bench():
    bench = calibration_images()
    assert len(Pool(bench)) == 24
    assert np.array_equal(Pool(bench).taken(np.arange(24)).numpy(), bench.pixels)
    with pytest.raises(IndexError, match="24"):
        Pool(bench).taken(np.array([24]))
