"""A copy has whole versions alone, whatever the store says, and keeps them when the store is away."""

import fcntl
import logging
from pathlib import Path

import pytest

from export.errors import RepositoryError
from export.manifest import check_files, read_manifest
from export.repository import model_names, versions
from tests.support.colours import publish_colours
from tests.support.stores import changed_manifest, emptied, faulty, in_memory, mirror_of, uploaded, written


def test_a_version_comes_whole(store, copy, version):
    look = mirror_of(store, copy).look()

    assert (look.brought, look.away) == ((("colours", 1),), "")
    check_files(copy / "colours" / "1", read_manifest(copy / "colours" / "1"))
    assert {path.name for path in (copy / "colours" / "1").iterdir()} == {path.name for path in version.iterdir()}
    assert look.used >= sum(path.stat().st_size for path in version.iterdir())


def test_what_has_come_is_not_read_again(store, copy):
    store, files = faulty(store)
    mirror = mirror_of(store, copy)
    mirror.look()
    files.calls.clear()

    assert mirror.look().brought == ()
    assert {call for call, _ in files.calls} == {"ls"}


def test_a_new_version_comes_at_the_next_look_and_one_that_is_gone_goes(store, copy, version):
    mirror = mirror_of(store, copy)
    mirror.look()
    uploaded(store, version)
    assert mirror.look().brought == (("colours", 2),)

    emptied(store, "colours", "1")

    assert mirror.look().removed == (("colours", 1),)
    assert versions(copy, "colours") == [2]


def test_the_files_beside_the_versions_come_change_and_go(store, copy):
    mirror = mirror_of(store, copy)
    written(store, b"max_size = 4\n", "colours", "config.toml")
    written(store, b'default_model = "colours"\n', "repository.toml")
    mirror.look()
    assert (copy / "colours" / "config.toml").read_bytes() == b"max_size = 4\n"
    assert (copy / "repository.toml").read_bytes() == b'default_model = "colours"\n'

    written(store, b"max_size = 8\n", "colours", "config.toml")
    store.remove("repository.toml")
    mirror.look()
    assert (copy / "colours" / "config.toml").read_bytes() == b"max_size = 8\n"
    assert not (copy / "repository.toml").exists()


def test_a_version_without_a_manifest_is_none_yet(store, copy):
    manifest = store.read("colours", "1", "manifest.json", most=10**6)
    store.remove("colours", "1", "manifest.json")
    mirror = mirror_of(store, copy, wait=0)
    assert mirror.look().refused == (("colours", 1),)
    assert model_names(copy) == []

    assert store.create(manifest, "colours", "1", "manifest.json")

    assert mirror.look().brought == (("colours", 1),)


def test_content_that_is_not_what_the_manifest_says_is_never_named(store, copy, caplog):
    written(store, b"something else", "colours", "1", "model.onnx")

    with caplog.at_level(logging.WARNING):
        look = mirror_of(store, copy).look()

    assert look.refused == (("colours", 1),)
    assert model_names(copy) == []
    assert "the file was changed" in caplog.text
    assert look.used < 1000


def test_what_was_refused_waits_longer_each_time(store, copy, caplog):
    written(store, b"something else", "colours", "1", "model.onnx")
    store, files = faulty(store)
    mirror = mirror_of(store, copy, wait=1000)
    mirror.look()
    files.calls.clear()

    assert mirror.look().refused == ()
    assert {call for call, _ in files.calls} == {"ls"}
    assert "tried again in 1000 s" in caplog.text


def test_a_bad_version_holds_no_other_up(store, copy, version):
    uploaded(store, version)
    written(store, b"", "colours", "2", "model.onnx")

    look = mirror_of(store, copy).look()

    assert (look.brought, look.refused) == ((("colours", 1),), (("colours", 2),))


def test_a_store_that_is_away_leaves_the_copy_as_it_is(store, copy):
    store, files = faulty(store)
    mirror = mirror_of(store, copy)
    mirror.look()

    def gone(call, path):
        raise ConnectionError("https://host/?X-Amz-Signature=secret")

    files.before = gone
    look = mirror.look()

    assert "ConnectionError" in look.away
    assert "secret" not in look.away
    assert mirror.has_versions()


def test_a_store_that_is_empty_all_at_once_is_away(store, copy):
    mirror = mirror_of(store, copy)
    mirror.look()
    emptied(store)

    assert "has no models" in mirror.look().away
    assert versions(copy, "colours") == [1]


def test_a_transfer_that_breaks_off_leaves_nothing(store, copy):
    store, files = faulty(store)
    mirror = mirror_of(store, copy, wait=0)

    def breaks(call, path):
        if call == "get_file" and path.endswith("model.onnx"):
            raise OSError("broken off")

    files.before = breaks
    assert mirror.look().refused == (("colours", 1),)
    assert not mirror.has_versions()
    assert [path for path in copy.rglob("*") if path.is_file() and not path.name.startswith(".")] == []

    files.before = lambda call, path: None
    assert mirror.look().brought == (("colours", 1),)


def test_a_file_that_takes_too_long_is_given_up(store, copy, caplog):
    slow, _ = faulty(store, seconds=0.0)

    look = mirror_of(slow, copy).look()

    assert look.refused == (("colours", 1),)
    assert "has not come within 0 s" in caplog.text


def test_where_two_transfers_in_a_row_break_off_the_store_is_away(store, copy, version):
    for _ in range(3):
        uploaded(store, version)
    store, files = faulty(store)

    def breaks(call, path):
        if call == "get_file":
            raise ConnectionError("gone")

    files.before = breaks
    look = mirror_of(store, copy).look()

    assert "ConnectionError" in look.away
    assert look.refused == (("colours", 4), ("colours", 3))


def test_a_version_that_does_not_fit_is_refused_though_its_size_was_never_told(store, copy, caplog):
    look = mirror_of(store, copy, most=500).look()

    assert look.refused == (("colours", 1),)
    assert "store_bytes" in caplog.text
    assert look.used <= 500


def test_what_nobody_needs_leaves_for_what_is_new(store, copy, version):
    size = sum(path.stat().st_size for path in version.iterdir())
    mirror = mirror_of(store, copy, most=int(2.5 * size), newest=1)
    mirror.look()
    for number in (2, 3):
        uploaded(store, version)
        look = mirror.look()
        assert look.brought == (("colours", number),)

    assert look.removed == (("colours", 1),)
    assert versions(copy, "colours") == [2, 3]


def test_what_serves_stays_though_it_is_older(store, copy, version):
    size = sum(path.stat().st_size for path in version.iterdir())
    mirror = mirror_of(store, copy, most=int(2.5 * size), newest=1, served=lambda: {("colours", 1)})
    mirror.look()
    for _ in range(2):
        uploaded(store, version)
        look = mirror.look()

    assert look.removed == (("colours", 2),)
    assert versions(copy, "colours") == [1, 3]


def test_a_folder_with_models_of_another_origin_is_left_alone(store, copy, tmp_path):
    publish_colours(copy)

    with pytest.raises(RepositoryError, match="is no copy of memory://"):
        mirror_of(store, copy)
    with pytest.raises(RepositoryError, match="is no copy of memory://"):
        mirror_of(store, mirror_of_another(tmp_path / "other"))
    assert versions(copy, "colours") == [1]


def mirror_of_another(folder: Path) -> Path:
    mirror_of(in_memory(), folder)
    return folder


def test_a_copy_that_another_service_keeps_is_left_to_it(store, copy):
    mirror = mirror_of(store, copy)
    with (copy / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert mirror.look().brought == ()

    assert mirror.look().brought == (("colours", 1),)


def test_a_manifest_of_a_newer_build_is_refused_with_advice(store, version, copy, caplog):
    with changed_manifest(version) as content:
        content["schema_version"] = 99
    written(store, (version / "manifest.json").read_bytes(), "colours", "1", "manifest.json")

    assert mirror_of(store, copy).look().refused == (("colours", 1),)
    assert "update this one" in caplog.text
