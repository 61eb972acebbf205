"""Runs that are killed while they write, wherever that is, and runs on a disk that fills up."""

import resource
import shutil
import signal

import pytest

from harmonic.bundles import bundle
from harmonic.disk import full_disk_told
from harmonic.errors import RunError
from harmonic.training.train import train
from tests.support.killed import kinds, run
from tests.support.runs import CPU, assert_identical, images, kill_after_epoch, log, recipe, weights

# What an epoch shows depends on the one before, and the optimiser has a state of its own.
ALTERNATING = recipe(epochs=4, optimiser="muon", turn=0.05, augment={"pad_crop": 2, "flip": "alternating"})


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Runs that were killed once each, at the last of every kind of touch or in a write, and then resumed; and one
    unbroken run."""
    folder, plan = tmp_path_factory.mktemp("killed"), recipe(epochs=2)
    code, touches = run(plan, folder / "whole")
    assert code == 0
    sizes = [0, 60, *((folder / "whole" / name).stat().st_size - 1 for name in ("best.safetensors", "last.ckpt"))]
    deaths = [{"fatal": number} for number in kinds(touches).values()] + [{"size": size} for size in sizes]
    outcomes = {}
    for death in deaths:
        name = "-".join(str(part) for item in death.items() for part in item)
        outcomes[name] = run(plan, folder / name, **death)[0]
        train(plan, images(), folder / name, where=CPU)
    return folder, outcomes


def test_a_run_killed_while_it_writes_goes_on(killed):
    _, outcomes = killed
    assert len(outcomes) > 15
    wanted = {name: -signal.SIGXFSZ if name.startswith("size") else -signal.SIGKILL for name in outcomes}
    assert outcomes == wanted


def test_a_run_killed_while_it_writes_ends_as_an_unbroken_one_does(killed):
    folder, outcomes = killed
    for point in outcomes:
        assert_identical(weights(folder / point), weights(folder / "whole"))
        assert (folder / point / "log.csv").read_text() == (folder / "whole" / "log.csv").read_text()
        cards = [bundle.read_card(folder / run / "bundle") for run in (point, "whole")]
        assert cards[0] == cards[1]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of four epochs that has two or three behind it."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    kill_after_epoch(2, ALTERNATING, out)
    return out


@pytest.mark.parametrize("name", ["best.safetensors", "last.ckpt"])
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(stopped, tmp_path, name):
    """No file may grow as large as this one, which is written last, or first: as on a disk that is full there."""
    out, plan = tmp_path / "run", ALTERNATING
    shutil.copytree(stopped, out)
    last, rows = (out / "last.ckpt").read_bytes(), log(out)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((out / name).stat().st_size - 1, limit[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written: File too large\. .*make room.*goes on from there"):
            train(plan, images(), out, where=CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (out / "last.ckpt").read_bytes() == last
    assert log(out) == rows
    assert not list(out.glob("*.part"))
    train(plan, images(), out, where=CPU)
    train(plan, images(), tmp_path / "whole", where=CPU)
    assert_identical(weights(out), weights(tmp_path / "whole"))


@pytest.mark.parametrize("name", ["curves.png", "bundle/weights.safetensors"])
def test_a_disk_that_is_full_at_the_end_is_told_alike(tmp_path, name):
    out, plan = tmp_path / "run", recipe(epochs=1)
    train(plan, images(), out, where=CPU)
    wanted, size = weights(out), (out / name).stat().st_size
    shutil.rmtree(out / "bundle")
    (out / "curves.png").unlink()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, limit[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written: File too large\. .*make room.*goes on from there"):
            train(plan, images(), out, where=CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (out / "bundle").exists()
    train(plan, images(), out, where=CPU)
    assert_identical(weights(out), wanted)


def test_a_disk_that_fails_otherwise_is_not_said_to_be_full(tmp_path):
    with pytest.raises(OSError, match="Not a directory"), full_disk_told(tmp_path):
        (tmp_path / "file").write_text("")
        (tmp_path / "file" / "inner").write_text("")
