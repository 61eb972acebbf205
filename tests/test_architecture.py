"""What must hold of the house: imports point one way, serving loads no torch, commands load nothing before they run."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOWER = {"harmonic": set(), "export": {"harmonic"}, "service": {"harmonic", "export"}}
TORCH_FREE = {
    "export.manifest",
    "export.repository",
    "export.runtime",
    "export.errors",
    "harmonic.pixels",
    "harmonic.errors",
    "harmonic.shown",
    "harmonic",
}
MAY_LOAD_TORCH = {"service/native.py", "service/norms.py"}  # imported only for a version that asks for PyTorch
HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "PIL", "fastapi", "uvicorn", "lightning", "matplotlib", "httpx")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("package", LOWER)
def test_imports_point_one_way(package):
    higher = LOWER.keys() - LOWER[package] - {package}
    wrong = [f"{path}: {name}" for path in modules(package) for name in imported(path) if name.split(".")[0] in higher]
    assert not wrong


def test_the_service_imports_only_what_is_free_of_torch():
    allowed = tuple(TORCH_FREE)
    for path in modules("service"):
        if str(path.relative_to(ROOT)) in MAY_LOAD_TORCH:
            continue
        for name in imported(path):
            top = name.split(".")[0]
            assert top != "torch", f"{path} imports {name}"
            if top in {"harmonic", "export"}:
                known = name in allowed or name.rpartition(".")[0] in allowed
                assert known, f"{path} imports {name}"


def test_onnx_runtime_is_imported_where_its_telemetry_is_off():
    """Once it is imported, it has told its maker; benchmarks of other servers run where there is no package of ours."""
    files = [path for folder in (*LOWER, "tests", "benchmarks") for path in modules(folder)]
    found = {str(path.relative_to(ROOT)) for path in files if "onnxruntime" in imported(path)}
    assert found == {"export/runtime.py", "benchmarks/peers/classifier.py"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["service.app", "service.server", "service.client"])
def test_serving_loads_no_torch(module):
    assert not {"torch", "onnx", "lightning", "matplotlib"} & loaded_by(f"import {module}")


def test_importing_the_packages_loads_nothing():
    assert not set(HEAVY) & loaded_by("import harmonic, export, service")


def test_no_command_loads_anything_heavy_before_it_runs():
    points = entry_points(group="harmonic.commands")
    assert {"serve", "classify"} <= {point.name for point in points}
    names = sorted({point.module for point in points})
    assert not set(HEAVY) & loaded_by("import harmonic.cli\nimport " + ", ".join(names))


def packages_of(*extras: str) -> set[str]:
    """Distributions that the project asks for with these extras, and what those ask for in turn."""
    wanted = [("harmonic-inference", extra) for extra in ("", *extras)]
    found: set[str] = set()
    while wanted:
        name, extra = wanted.pop()
        for line in requires(name) or ():
            requirement = Requirement(line)
            key = canonicalize_name(requirement.name)
            if key not in found and (not requirement.marker or requirement.marker.evaluate({"extra": extra})):
                found.add(key)
                wanted += [(key, inner) for inner in ("", *requirement.extras)]
    return found


# What libraries of the serving image take up where it happens to be installed, and do without.
TAKEN_UP = {"_brotli", "brotli", "_distutils_hack", "zstandard"}


def test_serving_loads_only_what_its_extras_install():
    modules = loaded_by("import service.app, service.server, service.client, service.cli")
    homes = packages_distributions()
    bring = packages_of("serve", "cpu") | {"harmonic-inference"}
    tops = {name.split(".")[0] for name in modules} & homes.keys() - TAKEN_UP
    assert "numpy" in tops
    assert not {name for name in tops if not {canonicalize_name(home) for home in homes[name]} & bring}
