"""The command line asks a service that wants a key, and tells the key to nobody else."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harmonic.evaluation.evaluate import open_predictor
from service.client import ClientError
from service.config import make
from service.credential import VARIABLE, authorization
from service.errors import RequestError
from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import run, serving

SECRET, KEY = make("command-line", ["inference"])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    with serving(root, keys=json.dumps([KEY.model_dump(mode="json", exclude_none=True)])) as (url, _):
        yield url


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "red.png").write_bytes(plain("red"))
    return tmp_path / "red.png"


def test_classify_takes_a_key_from_its_option_or_the_environment(url, picture, monkeypatch):
    for options in (["--key", SECRET], []):
        done = run("classify", picture, "--url", url, "--json", *options)
        assert json.loads(done.stdout)["classes"][0]["label"] == "red"
        assert SECRET not in done.stdout + done.stderr
        monkeypatch.setenv(VARIABLE, SECRET)


@pytest.mark.parametrize("wrong", [None, "hk_wrong", "hk_two words", "hk_\n\x00"])
def test_without_a_sound_key_it_says_which_option_is_missing_and_repeats_none(url, picture, monkeypatch, wrong):
    if wrong:
        monkeypatch.setenv(VARIABLE, wrong.replace("\x00", "\x01"))
    done = run("classify", picture, "--url", url)
    assert done.returncode in {1, 2}
    assert "key" in done.stderr
    assert not wrong or wrong not in done.stdout + done.stderr


def test_evaluate_takes_it_from_the_environment(url, monkeypatch):
    with pytest.raises(ClientError, match=VARIABLE):
        open_predictor(f"{url}/v1/models/colours")
    monkeypatch.setenv(VARIABLE, SECRET)
    predictor = open_predictor(f"{url}/v1/models/colours")
    assert predictor(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 3)
    assert SECRET not in repr(predictor)


def test_a_key_that_cannot_be_one_is_refused_without_repeating_it():
    with pytest.raises(RequestError) as refusal:
        authorization("hk_two words")
    assert "two words" not in refusal.value.message
    assert authorization(f" {SECRET}\n") == {"Authorization": f"Bearer {SECRET}"}
    assert authorization("") == {}
