"""How much of each room the tests run, held above floors that only rise.

    pytest --cov --cov-report=json ...; python -m tests.support.floors coverage.json

The floors are whole per cents of statements and branches, in `floors.json` beside this file. A room below its floor
fails; one that is above raises it, and the change is committed.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.house import ROOT, module_name, room

FLOORS = Path(__file__).with_name("floors.json")


def covered(report: Mapping[str, Any]) -> dict[str, int]:
    """Whole per cents by room, from the report that coverage writes as JSON."""
    done: dict[str, int] = {}
    every: dict[str, int] = {}
    for path, found in report["files"].items():
        name, figures = room(module_name(ROOT / path)), found["summary"]
        done[name] = done.get(name, 0) + figures["covered_lines"] + figures.get("covered_branches", 0)
        every[name] = every.get(name, 0) + figures["num_statements"] + figures.get("num_branches", 0)
    return {name: 100 * done[name] // count for name, count in sorted(every.items()) if count}


def fallen(found: Mapping[str, int], floors: Mapping[str, int]) -> list[str]:
    """A line for every room below its floor; one that is not there any more has none."""
    return [
        f"{name}: {found[name]} % of it is run by tests, its floor is {floor} %"
        for name, floor in floors.items()
        if name in found and found[name] < floor
    ]


def raised(found: Mapping[str, int], floors: Mapping[str, int]) -> dict[str, int]:
    """The floors from now on: never lower, none for a room that is gone, and a per cent below what was found, since not
    every run takes the same turns."""
    return {name: max(share - 1, floors.get(name, 0)) for name, share in found.items()}


def main(report: Path) -> int:
    """The exit status: 1 if a room has fallen below its floor."""
    found, floors = covered(json.loads(report.read_text())), json.loads(FLOORS.read_text())
    if wrong := fallen(found, floors):
        sys.stderr.write("\n".join(wrong) + "\n")
        return 1
    FLOORS.write_text(json.dumps(raised(found, floors), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
