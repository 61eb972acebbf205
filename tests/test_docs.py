"""The documentation names what the code has: every setting, flag, route, error code and metric."""

import inspect
import re
from pathlib import Path

import pytest
import typer.main
from prometheus_client import CollectorRegistry

from harmonic.cli import build_app
from service import errors
from service.config import Settings
from service.config.settings import SECTIONS
from service.engine import LocalEngine
from service.engine.collector import State, StateCollector
from service.http.app import create_app
from service.http.errors import FRAMEWORK_CODES
from service.mirroring import Mirroring
from service.processes.supervisor import CrewCollector
from service.telemetry import Metrics
from tests.support import settings_page

DOCS = Path(__file__).resolve().parents[1] / "docs"
SETTINGS, API, OBSERVABILITY = (
    (DOCS / name).read_text(encoding="utf-8") for name in ("settings.md", "http-api.md", "observability.md")
)


def codes() -> set[tuple[int, str]]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ServiceError)]
    return {(kind.status, kind.code) for kind in kinds} | {(status, code) for status, code in FRAMEWORK_CODES.items()}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    assert f"| `{name}` |" in SETTINGS


def test_no_setting_is_documented_that_does_not_exist():
    assert set(re.findall(r"^\| `([a-z0-9_]+)` \|", SETTINGS, re.MULTILINE)) == set(Settings.model_fields)


PAGES = {
    "classify": "settings.md",
    "compress": "compress.md",
    "convert": "convert.md",
    "deploy": "scale-out.md",
    "evaluate": "evaluate.md",
    "export": "export.md",
    "fit": "own-photographs.md",
    "push": "repositories.md",
    "import": "reference-checkpoints.md",
    "health": "settings.md",
    "key": "settings.md",
    "load": "load.md",
    "models": "models.md",
    "pull": "reference-checkpoints.md",
    "recipes": "training.md",
    "serve": "settings.md",
    "spectrum": "spectrum.md",
    "tradeoff": "tradeoff.md",
    "train": "training.md",
}
COMMANDS = typer.main.get_command(build_app()).commands


def test_every_command_has_its_page():
    assert set(PAGES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_stands_in_the_page_of_its_command(name):
    page = (DOCS / PAGES[name]).read_text(encoding="utf-8")
    flags = {flag for parameter in COMMANDS[name].params for flag in parameter.opts if flag.startswith("--")}
    assert sorted(flag for flag in flags if not re.search(rf"{flag}(?![a-z-])", page)) == []


@pytest.mark.parametrize("command", ["serve", "health", "classify", "key"])
def test_every_flag_of_the_service_is_in_its_tables(command):
    assert COMMANDS[command].params
    for parameter in COMMANDS[command].params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            assert not flag.startswith("-") or f"`{flag}`" in SETTINGS, flag


def test_the_tables_of_the_settings_are_what_the_settings_say():
    assert settings_page.with_tables(SETTINGS) == SETTINGS, "make docs renews them"


def test_every_setting_is_in_a_section():
    assert [name for section in SECTIONS for name in section.model_fields] == list(Settings.model_fields)


def test_the_defaults_that_classify_shows_are_the_settings_own():
    shown = {parameter.name: parameter.show_default for parameter in COMMANDS["classify"].params}
    for name in ("repository", "device"):
        assert shown[name] == str(Settings.model_fields[name].default)


@pytest.mark.parametrize(("status", "code"), sorted(codes()))
def test_every_error_code_is_documented_with_its_status(status, code):
    assert f"| {status} | `{code}` |" in API


@pytest.mark.parametrize("path", ["/v1/classify", "/docs", "/openapi.json"])
def test_well_known_routes_are_documented(path):
    assert path in API


def page_of(path: str) -> str:
    """The page that documents a route: each protocol has its own, and so has control."""
    if path.startswith(("/v2/repository/models", "/v1/control")):
        return "model-control.md"
    return "inference-protocol.md" if path == "/v2" or path.startswith("/v2/") else "http-api.md"


def test_every_route_stands_in_the_page_of_its_protocol():
    metrics = Metrics(CollectorRegistry())
    app = create_app(Settings(), LocalEngine(Settings(), metrics), metrics)
    routes = [(path, method.upper()) for path, methods in app.openapi()["paths"].items() for method in methods]
    pages = {page: (DOCS / page).read_text(encoding="utf-8") for page in {page_of(path) for path, _ in routes}}
    assert len(pages) == 3
    assert len(routes) >= 20
    assert [f"{method} {path}" for path, method in routes if f"`{method} {path}`" not in pages[page_of(path)]] == []


def test_every_metric_is_documented():
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    engine = LocalEngine(Settings(), metrics)
    metrics.watch(StateCollector(lambda: State(engine.describe(), engine.statistics(), engine.in_flight)))
    registry.register(CrewCollector())
    registry.register(Mirroring(Settings()))
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in registry.collect()}
    ours = {name for name in names if name.startswith("harmonic_")}
    assert len(ours) >= 12
    assert ours == set(re.findall(r"^\| `(harmonic_[a-z_]+)` \|", OBSERVABILITY, re.MULTILINE))
