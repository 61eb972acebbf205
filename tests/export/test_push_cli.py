"""`harmonic push`: a version of a folder goes to a store."""

import json

import pytest

from export.errors import RepositoryError, StoreError
from export.push_cli import push
from tests.support.colours import publish_colours
from tests.support.stores import in_memory, stored


@pytest.fixture
def store():
    return in_memory()


def test_a_models_newest_version_goes_there(tmp_path, store, capsys):
    publish_colours(tmp_path)
    publish_colours(tmp_path, side=4)

    push(tmp_path / "colours", str(store))

    assert json.loads(store.read("colours", "1", "manifest.json", most=10**6))["pixels"]["height"] == 4
    assert f"Next: harmonic serve --repository {store} --default-model colours" in capsys.readouterr().out


def test_a_version_goes_there_under_another_name_and_number(tmp_path, store, capsys):
    push(publish_colours(tmp_path), str(store), name="paints", as_version=7, json=True)

    assert json.loads(capsys.readouterr().out) == {"name": "paints", "version": 7, "repository": str(store)}
    assert "paints/7/manifest.json" in stored(store)


def test_what_is_no_version_is_refused(tmp_path, store):
    with pytest.raises(RepositoryError, match="neither a version nor a model"):
        push(tmp_path, str(store))
    with pytest.raises(StoreError, match="wants the form"):
        push(publish_colours(tmp_path), "models")
