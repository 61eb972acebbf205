"""Runs that were killed: they end with the weights of an unbroken one."""

import json
import os
import re
import shutil
import signal

import pytest
import torch

from harmonic.bundles import bundle
from harmonic.errors import RunError
from harmonic.training.train import train
from tests.support.forks import ended
from tests.support.runs import (
    COSINE,
    CPU,
    CYCLE,
    STEP,
    assert_identical,
    images,
    kill_after_epoch,
    log,
    recipe,
    said,
    start,
    wait_for,
    weights,
)


def test_a_run_killed_before_its_bundle_makes_it_when_asked_again(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "bundle")
    train(recipe(), images(), tmp_path / "run", test=images(30, seed=9), where=CPU)
    assert_identical(weights(tmp_path / "run"), weights(finished))
    assert bundle.read_card(tmp_path / "run" / "bundle").metrics == bundle.read_card(finished / "bundle").metrics


@pytest.mark.parametrize(
    "extras",
    [{"schedule": STEP}, {"schedule": CYCLE}, {"schedule": COSINE, "ema": 0.8}],
    ids=["step", "one-cycle", "cosine-ema"],
)
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path, extras):
    """Killed in the second epoch and in the fourth: before and after drops of the rate."""
    plan = recipe(epochs=6, **extras)
    kill_after_epoch(1, plan, tmp_path / "killed")
    kill_after_epoch(3, plan, tmp_path / "killed")
    assert not (tmp_path / "killed" / "bundle").exists()
    train(plan, images(), tmp_path / "killed", where=CPU)
    train(plan, images(), tmp_path / "whole", where=CPU)
    assert_identical(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert (tmp_path / "killed" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    states = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("killed", "whole")]
    assert_identical(states[0]["state_dict"], states[1]["state_dict"])
    cards = [json.loads((tmp_path / run / "bundle" / "bundle.json").read_text()) for run in ("killed", "whole")]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("name", ["last.ckpt", "best.safetensors"])
@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[: len(raw) // 2], lambda raw: bytes(len(raw))])
def test_a_damaged_state_is_told_with_the_remedy(finished, tmp_path, name, damage):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "bundle")
    (tmp_path / "run" / name).write_bytes(damage((finished / name).read_bytes()))
    with pytest.raises(RunError, match=rf"{re.escape(name)}: damaged .* to start over"):
        train(recipe(), images(), tmp_path / "run", where=CPU)


def test_a_run_stopped_by_hand_says_how_to_go_on(tmp_path):
    out = tmp_path / "run"
    process = start(recipe(epochs=50), out)
    wait_for("epoch 2/", out, process)
    os.kill(process.pid, signal.SIGINT)
    assert ended(process) == 1
    done = len(log(out))
    assert f"Stopped. The same command goes on after epoch {done} of 50." in said(out)
    assert done >= 2
