"""A version is in a store whole, or not at all, and is never overwritten."""

import json

import pytest

from export.errors import ManifestError, RepositoryError, StoreAwayError, StoreError
from export.manifest import MANIFEST
from export.stores import free_number, open_store, publish, read_address
from tests.support.colours import publish_colours
from tests.support.stores import faulty, in_memory, stored, uploaded, written


@pytest.fixture
def store():
    return in_memory()


def test_versions_count_up_and_bring_what_lies_beside_them(store, version):
    (version.parent / "config.pbtxt").write_text('name: "colours"\n')

    assert [uploaded(store, version), uploaded(store, version), uploaded(store, version, 7)] == [1, 2, 7]
    assert free_number(store, "colours") == 8
    assert {path for path in stored(store) if path.startswith("colours/7/")} == {
        "colours/7/.claim",
        *(f"colours/7/{path.name}" for path in version.iterdir()),
    }
    assert "colours/config.pbtxt" in stored(store)


def test_a_version_that_is_there_is_never_overwritten(store, version, tmp_path):
    uploaded(store, version)
    before = store.read("colours", "1", MANIFEST, most=10**6)

    with pytest.raises(RepositoryError, match="exists already"):
        publish(store, "colours", publish_colours(tmp_path / "other", side=4), 1)

    assert store.read("colours", "1", MANIFEST, most=10**6) == before


def test_a_number_that_somebody_has_claimed_is_left_to_them(store, version):
    assert store.create(b"somebody else", "colours", "1", ".claim")

    with pytest.raises(RepositoryError, match="somebody publishes it now"):
        uploaded(store, version, 1)
    assert uploaded(store, version) == 2
    assert {path for path in stored(store) if path.startswith("colours/1/")} == {"colours/1/.claim"}


def test_an_upload_that_fails_leaves_no_data(store, version):
    failing, files = faulty(store)

    def full(call, path):
        if call == "put_file" and path.endswith("model.onnx"):
            raise OSError("no room")

    files.before = full
    with pytest.raises(StoreAwayError, match="cannot be written: OSError"):
        uploaded(failing, version)

    assert stored(store) == {"colours/1/.claim"}


def test_whoever_lost_the_claim_publishes_nothing_and_removes_nothing(store, version):
    robbed, files = faulty(store)

    def rob(call, path):
        if call == "put_file" and path.endswith("model.onnx"):
            written(store, b"another publisher", "colours", "1", ".claim")

    files.before = rob
    with pytest.raises(StoreError, match="Nothing was published"):
        uploaded(robbed, version)

    assert "colours/1/manifest.json" not in stored(store)
    assert "colours/1/model.onnx" in stored(store)


def test_a_write_whose_answer_was_lost_is_known_to_be_ours(store, version):
    lossy, files = faulty(store)

    manifest = (version / MANIFEST).read_bytes()

    def twice(call, path):
        if call == "pipe_file" and path.endswith(MANIFEST):
            written(store, manifest, "colours", "1", MANIFEST)

    files.before = twice

    assert uploaded(lossy, version) == 1
    assert store.read("colours", "1", MANIFEST, most=10**6) == manifest


def test_a_version_whose_sums_do_not_hold_is_not_published(store, version):
    (version / "model.onnx").write_bytes(b"changed")

    with pytest.raises(ManifestError, match="the file was changed"):
        uploaded(store, version)
    assert stored(store) == set()


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", ""])
def test_a_name_that_is_none_is_refused(store, version, name):
    with pytest.raises(RepositoryError, match="cannot be a model's name"):
        publish(store, name, version)


def test_to_a_web_server_nothing_is_published(version):
    store = open_store(read_address("http://127.0.0.1:9/models"))

    with pytest.raises(StoreError):
        publish(store, "colours", version, 1)


def test_a_version_below_one_is_refused(store, version):
    with pytest.raises(RepositoryError, match="whole number from 1"):
        uploaded(store, version, 0)
    assert json.loads((version / MANIFEST).read_text())["name"] == "colours"
