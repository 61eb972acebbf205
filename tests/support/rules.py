"""The rules of the house. Each gives a line for every place where it is broken."""

import ast
from collections.abc import Mapping

from tests.support.house import (
    FLOORS,
    FORMER,
    LENT,
    LIBRARIES,
    LIBRARIES_OF,
    MOST_LINES,
    House,
    Import,
    every_import,
    imported_module,
    imports,
    is_module,
    listed,
    parsed,
    room,
)


def imports_go_down(house: House) -> list[str]:
    """A room imports from lower floors and from itself; a package from what it is lent; by absolute names."""
    return [f"{one}: {why}" for one in every_import(house) if (why := _why_not(one, house))]


def _why_not(one: Import, house: House) -> str:
    if one.source.startswith("."):
        return "imports are absolute"
    found = imported_module(one, house)
    package, other = one.by.split(".")[0], found.split(".")[0]
    if other not in FLOORS or one.target == "harmonic.__version__" or one.by in {package, *FORMER}:
        return ""
    if found in FORMER or found == package:
        return "the package's front door is for those outside"
    if other != package:
        lent = LENT.get(package, {}).get(other, set())
        return "" if {"*", room(found).partition(".")[2]} & lent else "not lent"
    return "" if room(found) == room(one.by) else _why_not_below(one.by, found, house)


def _why_not_below(module: str, found: str, house: House) -> str:
    mine, theirs = _floor(module), _floor(found)
    if mine is None or theirs is None:
        return "a room that no floor has"
    neighbours = theirs == mine and _is_lone(found, house) and _is_lone(module, house)
    return "" if theirs < mine or neighbours else "not below"


def _floor(module: str) -> int | None:
    package, _, name = room(module).partition(".")
    for number, names in enumerate(FLOORS[package]):
        if name in names or "*" in names:
            return number
    return None


def _is_lone(module: str, house: House) -> bool:
    """True for a module that stands on a floor by itself, in no room: such neighbours may know each other."""
    return module == room(module) and is_module(module, house)


def others_come_through_the_door(house: House) -> list[str]:
    """What a room's `__init__` lists in `__all__` is for others; nothing else is."""
    wrong = []
    for one in every_import(house):
        found = imported_module(one, house)
        home = room(found)
        if found.split(".")[0] not in FLOORS or home == room(one.by) or one.by in FORMER or "." not in one.by:
            continue
        door = listed(house, home)
        if door is None or one.target == home:  # the room itself, for its names
            continue
        inner = found.removeprefix(home).lstrip(".")
        if inner.split(".")[0] not in door and not (inner == "" and one.name in door):
            wrong.append(f"{one}: the door of {home} does not list it")
    return wrong


def every_room_has_a_door(house: House) -> list[str]:
    """A room says in its first line what it is for, and lists what others may use; a module says what it is for."""
    mute = [f"{module}: no docstring" for module, source in house.items() if not ast.get_docstring(parsed(source))]
    rooms = {room(module) for module in house if module.count(".") > 1}
    return mute + [f"{name}: no __all__" for name in sorted(rooms) if not listed(house, name)]


def libraries_stay_in_their_rooms(house: House) -> list[str]:
    """A library is known where the table says, and nowhere else."""
    wrong = []
    for one in every_import(house):
        top, package = one.source.split(".")[0], one.by.split(".")[0]
        homes = LIBRARIES_OF.get(package, {}).get(top) or LIBRARIES.get(top)
        if homes and not any(one.by == home or one.by.startswith(home + ".") for home in homes):
            wrong.append(f"{one}: {top} belongs to {', '.join(sorted(homes))}")
    return wrong


def no_circles(house: House) -> list[str]:
    """No module imports itself by way of others; doors are left out, since a room's modules do not use their own."""
    graph = {
        module: {
            found
            for one in imports(module, source)
            if (found := imported_module(one, house)) in house and found != module and is_module(found, house)
        }
        for module, source in house.items()
        if is_module(module, house)
    }
    wrong, done = [], set()
    for start in graph:
        wrong += _circles_from(start, graph, (), done)
    return wrong


def _circles_from(module: str, graph: Mapping[str, set[str]], way: tuple[str, ...], done: set[str]) -> list[str]:
    if module in way:
        return [" -> ".join((*way[way.index(module) :], module))]
    if module in done:
        return []
    found = [circle for other in sorted(graph[module]) for circle in _circles_from(other, graph, (*way, module), done)]
    done.add(module)
    return found


def no_module_uses_its_own_door(house: House) -> list[str]:
    """Inside a room the modules know each other by name; the door is for others."""
    return [
        f"{one}: its own door"
        for one in every_import(house)
        if one.by.count(".") > 1 and imported_module(one, house) == room(one.by)
    ]


def no_public_name_twice(house: House) -> list[str]:
    """A public class or function has one home in its package; commands and routes are found by their files."""
    homes: dict[tuple[str, str], list[str]] = {}
    for module, source in house.items():
        if room(module) == "harmonic.commands" or module.endswith(".cli") or ".routes." in module:
            continue
        for node in parsed(source).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                homes.setdefault((module.split(".")[0], node.name), []).append(module)
    return [f"{name}: in {', '.join(where)}" for (_, name), where in homes.items() if len(where) > 1]


def no_long_files(house: House) -> list[str]:
    """Beyond this a file holds two ideas."""
    return [
        f"{module}: {lines} lines" for module, source in house.items() if (lines := source.count("\n")) > MOST_LINES
    ]


def every_module_has_its_tests(house: House, tests: Mapping[str, str], covered_by: Mapping[str, str]) -> list[str]:
    """`a.b.c` is tested in `tests/a/b/test_c.py`, or by the test file that the table names.

    tests: the test files below `tests/`, by path. covered_by: modules whose tests lie elsewhere, and where.
    """
    wrong = []
    for module in house:
        if not is_module(module, house):
            continue
        *way, last = module.split(".")
        own = "/".join((*way, f"test_{last}.py"))
        named = covered_by.get(module)
        if named is None and own not in tests:
            wrong.append(f"{module}: no tests/{own}, and no line that names who covers it")
        if named is not None and named not in tests:
            wrong.append(f"{module}: tests/{named} is not there")
        if named is not None and own in tests:
            wrong.append(f"{module}: has tests/{own}, so that its line may go")
    return wrong + [f"{module}: covered, but not there" for module in covered_by if module not in house]


def tests_import_helpers_alone(tests: Mapping[str, str]) -> list[str]:
    """What two test files need is in `tests/support`: no test imports another test or a conftest."""
    every = (one for path, source in tests.items() for one in imports(path, source))
    return [
        f"{one}: not in tests.support"
        for one in every
        if f"{one.target}.".startswith("tests.") and "tests.support" not in one.target
    ]
