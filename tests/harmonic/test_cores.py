import os

import numpy as np

from harmonic.cores import usable_cores
from harmonic.data import Images, prepare_all
from harmonic.pixels import PixelSpec
from service.runtime import usable_cpus
from tests.support.pictures import texture


def test_at_least_one_core_can_be_used():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_images_are_read_where_the_system_knows_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    images = Images("one", ("a",), np.zeros(1, np.int64), ["x"], lambda index: texture("texture0", index))
    assert prepare_all(images, PixelSpec(height=12, width=12), title="").shape == (1, 12, 12, 3)
    assert usable_cores() == os.cpu_count()
    assert usable_cpus() >= 1
