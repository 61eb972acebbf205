"""The house: its floors and rooms in one table, and the rules that hold for every file in it.

A house is a mapping from a module's name to its source, so that a test can plant a fault in one. `python -m
tests.support.house` writes the tree of docs/architecture.md.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
House = Mapping[str, str]

# From the ground up. A room imports its own modules and those of lower floors; rooms of one floor do not know each
# other. The names on the ground floor and on the roof are single modules.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "harmonic": (
        ("cli", "cores", "disk", "errors", "near", "picture", "shown"),
        ("pixels",),
        ("layers",),
        ("graph",),
        ("conversion",),
        ("data",),
        ("zoo",),
        ("bundles",),
        ("analysis", "compression", "evaluation"),
        ("training",),
        ("commands",),
    ),
    "export": (("errors", "runtime"), ("manifest", "staging"), ("repository",), ("*",)),
    "service": (
        ("errors", "ranking"),
        ("batching", "runtime"),
        ("config",),
        ("decoding", "telemetry"),
        ("engine",),
        ("protocol",),
        ("http",),
        ("cli", "client", "credential", "predictor", "probe"),
    ),
}

# The old paths of names that people import: nothing in the house comes through them.
FORMER = {"harmonic.basis", "harmonic.convert", "harmonic.reference"}

# What one package may have of another: these rooms and nothing else. Below `service` all of it is free of torch.
LENT = {
    "export": {"harmonic": {"*"}},
    "service": {
        "harmonic": {"errors", "pixels", "shown"},
        "export": {"errors", "manifest", "repository", "runtime"},
    },
}

# Libraries, and the rooms or modules that may know them. Those that are not named may be used anywhere.
LIBRARIES: dict[str, set[str]] = {
    "fastapi": {"service.http"},
    "starlette": {"service.http"},
    "uvicorn": {"service.http"},
    "httptools": {"service.http"},
    "python_multipart": {"service.http"},
    "onnxruntime": {"export.runtime"},
    "onnx": {"export"},
    "pydantic_settings": {"service.config"},
    "lightning": {"harmonic.training"},
    "matplotlib": {"harmonic.picture", "harmonic.analysis", "harmonic.training.curves"},
    "typer": {"harmonic.commands", "harmonic.cli", "export.cli", "service.cli", "service.probe"},
}
# The same for a library inside one package.
LIBRARIES_OF: dict[str, dict[str, set[str]]] = {
    "service": {
        "torch": {"service.runtime.native", "service.runtime.adaptive_norm"},
        "PIL": {"service.decoding"},
    }
}

MOST_LINES = 300
# Test files that still hold two ideas.
LONG_TESTS = {
    "e2e/test_connections.py",
    "harmonic/data/test_sources.py",
    "harmonic/graph/test_backbone.py",
    "harmonic/layers/test_spectral.py",
    "harmonic/training/test_train.py",
    "service/batching/test_batcher.py",
    "service/engine/test_control.py",
    "service/http/test_http.py",
    "service/protocol/test_messages.py",
    "support/house.py",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports: `from source import name`; for `import source` the name is empty."""

    by: str
    source: str
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.target}"

    @property
    def target(self) -> str:
        return f"{self.source}.{self.name}" if self.name else self.source


@cache
def read_house() -> House:
    """Every module of the packages, by name; a package's own name stands for its `__init__`."""
    paths = [path for package in FLOORS for path in sorted((ROOT / package).rglob("*.py"))]
    return {module_name(path): path.read_text(encoding="utf-8") for path in paths}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The room of a module: `harmonic.layers` of `harmonic.layers.banks`, and a lone module's own name."""
    return ".".join(module.split(".")[:2])


def imports(module: str, source: str) -> Iterator[Import]:
    """Every import of a module, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(module, name.name, "", node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(module, node.module or ".", name.name, node.lineno) for name in node.names)


def every_import(house: House) -> Iterator[Import]:
    for module, source in house.items():
        yield from imports(module, source)


def imported_module(one: Import, house: House) -> str:
    """The module that an import loads: a package's sub-module if the name is one, else the package."""
    return one.target if one.target in house else one.source


def _floor(module: str) -> int | None:
    package, _, name = room(module).partition(".")
    for number, names in enumerate(FLOORS[package]):
        if name in names or "*" in names:
            return number
    return None


# The rules. Each gives a line for every place where it is broken.


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


def _is_lone(module: str, house: House) -> bool:
    """True for a module that stands on a floor by itself, in no room: such neighbours may know each other."""
    return module == room(module) and _is_module(module, house)


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


def listed(house: House, name: str) -> set[str] | None:
    """The `__all__` of a room; None for a module that is no room."""
    if not any(other.startswith(name + ".") for other in house):
        return None
    for node in ast.parse(house[name]).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def every_room_has_a_door(house: House) -> list[str]:
    """A room says in its first line what it is for, and lists what others may use; a module says what it is for."""
    mute = [f"{module}: no docstring" for module, source in house.items() if not ast.get_docstring(ast.parse(source))]
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
            if (found := imported_module(one, house)) in house and found != module and _is_module(found, house)
        }
        for module, source in house.items()
        if _is_module(module, house)
    }
    wrong, done = [], set()
    for start in graph:
        wrong += _circles_from(start, graph, (), done)
    return wrong


def _is_module(name: str, house: House) -> bool:
    return not any(other.startswith(name + ".") for other in house)


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
        for node in ast.parse(source).body:
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
        if not _is_module(module, house):
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


def read_tests() -> dict[str, str]:
    """Every file below `tests/`, by its path there."""
    root = ROOT / "tests"
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}


def tree(house: House) -> str:
    """The floors from the roof down, a line a room: what it is for and which modules it has."""
    lines = []
    for package in reversed(FLOORS):
        lines += [f"{package}/", *_floors_of(package, house), ""]
    return "\n".join(lines).rstrip() + "\n"


def _floors_of(package: str, house: House) -> Iterator[str]:
    named = {name for names in FLOORS[package] for name in names}
    for number, names in reversed(list(enumerate(FLOORS[package]))):
        known = [name for name in names if name != "*"]
        if "*" in names:
            found = {room(module).partition(".")[2] for module in house if module.startswith(package + ".")}
            known = sorted(found - named)
        for name in known:
            yield f"  {number}  {_line(f'{package}.{name}', house)}"


def _line(name: str, house: House) -> str:
    what = (ast.get_docstring(ast.parse(house[name])) or "").partition("\n\n")[0].replace("\n", " ")
    inner = (module for module in house if module.startswith(name + ".") and _is_module(module, house))
    within = sorted(module.removeprefix(name + ".") for module in inner)
    label = name.partition(".")[2] + ("/" if within else "")
    below = f"\n{'':19}" + " ".join(within) if within else ""
    return f"{label:<13} {what}{below}"


PAGE, BEGIN, END = ROOT / "docs" / "architecture.md", "<!-- the tree: begin -->\n```\n", "```\n<!-- the tree: end -->"


def with_tree(page: str, house: House) -> str:
    """The page of the architecture with the tree as it stands."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + tree(house) + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_tree(PAGE.read_text(encoding="utf-8"), read_house()), encoding="utf-8")
    sys.stdout.write(f"wrote the tree into {PAGE.name}\n")
