"""The floors of coverage: what is measured by room, what falls below, and that they only rise."""

import json

from tests.support import floors
from tests.support.house import read_house, room


def summary(lines, statements, branches=0, of=0):
    figures = {"covered_lines": lines, "num_statements": statements, "covered_branches": branches, "num_branches": of}
    return {"summary": figures}


REPORT = {
    "files": {
        "harmonic/layers/banks.py": summary(9, 10, 3, 4),
        "harmonic/layers/shells.py": summary(20, 20),
        "harmonic/disk.py": summary(1, 3),
        "service/__init__.py": summary(0, 0),
    }
}


def test_a_rooms_modules_are_counted_together():
    assert floors.covered(REPORT) == {"harmonic.disk": 33, "harmonic.layers": 94}


def test_a_room_below_its_floor_is_named():
    found = floors.covered(REPORT)
    assert floors.fallen(found, {"harmonic.layers": 94, "harmonic.disk": 33, "harmonic.gone": 90}) == []
    assert floors.fallen(found, {"harmonic.layers": 95}) == [
        "harmonic.layers: 94 % of it is run by tests, its floor is 95 %"
    ]


def test_floors_only_rise():
    assert floors.raised({"a": 90, "b": 70, "new": 10}, {"a": 80, "b": 75, "gone": 50}) == {"a": 89, "b": 75, "new": 9}


def test_a_fall_leaves_the_floors_as_they_are_and_a_rise_writes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(floors, "FLOORS", tmp_path / "floors.json")
    (tmp_path / "coverage.json").write_text(json.dumps(REPORT))
    floors.FLOORS.write_text(before := json.dumps({"harmonic.layers": 95}))
    assert floors.main(tmp_path / "coverage.json") == 1
    assert floors.FLOORS.read_text() == before
    floors.FLOORS.write_text(json.dumps({"harmonic.layers": 90}))
    assert floors.main(tmp_path / "coverage.json") == 0
    assert json.loads(floors.FLOORS.read_text()) == {"harmonic.disk": 32, "harmonic.layers": 93}


def test_every_floor_is_of_a_room_that_is_there():
    there = {room(module) for module in read_house()}
    kept = json.loads(floors.FLOORS.read_text())
    assert set(kept) <= there
    assert all(0 < floor <= 100 for floor in kept.values())
