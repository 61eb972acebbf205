"""Whatever a store says of its names and sizes, nothing is written but in the copy, and nothing unbounded is read."""

import json

import pytest

from export.repository import model_names
from export.stores import Store
from tests.support.stores import faulty, mirror_of, written

HOSTILE = [
    "..",
    "../../etc",
    ".hidden",
    "/etc",
    "a b",
    "x" * 101,
    "-rf",
    "na\nme",
    "models\x00",
    "0",
    "01",
    "-1",
    "9" * 10,
]


def test_hostile_names_are_passed_over(store, copy, tmp_path):
    store, files = faulty(store)
    honest = files.files.ls

    class Hostile:
        def __getattr__(self, name):
            return getattr(files.files, name)

        def ls(self, path, **more):
            return [*honest(path, **more), *({"name": f"{path}/{name}", "type": "directory"} for name in HOSTILE)]

    hostile = Store(store.address, Hostile(), f"/{store.address.place}")
    before = {path for path in tmp_path.rglob("*") if copy not in path.parents and path != copy}

    look = mirror_of(hostile, copy).look()

    assert look.brought == (("colours", 1),)
    assert sorted(path.name for path in copy.iterdir()) == [".lock", ".store", "colours"]
    assert {path for path in tmp_path.rglob("*") if copy not in path.parents and path != copy} == before


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ".hidden", "a/b", "manifest.json"])
def test_a_manifest_that_names_other_places_is_refused(store, copy, name, tmp_path):
    content = json.loads(store.read("colours", "1", "manifest.json", most=10**6))
    content["files"][name] = "0" * 64
    written(store, json.dumps(content).encode(), "colours", "1", "manifest.json")
    written(store, b"x", "outside")

    assert mirror_of(store, copy).look().refused == (("colours", 1),)
    assert not (tmp_path / "outside").exists()
    assert not (copy / "colours").exists()


def test_thousands_of_entries_are_looked_at_once(store, copy, caplog):
    for number in range(2000):
        written(store, b"", f"a{number:04}", "readme")

    look = mirror_of(store, copy).look()

    assert look.away == ""
    assert "the first 1000 are looked at" in caplog.text
    assert model_names(copy) == []


def test_a_huge_small_file_is_passed_over(store, copy, caplog):
    written(store, b"#" * 10**6, "colours", "config.toml")
    written(store, b"{" * (5 * 2**20), "colours", "1", "manifest.json")

    look = mirror_of(store, copy).look()

    assert look.refused == (("colours", 1),)
    assert caplog.text.count("larger than") == 2
    assert not (copy / "colours").exists()
