"""A pod of a Service that is called like our settings: it serves, and its log says what it ignored."""

import re

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.process import bound, starting

TOLD = {
    "port": "tcp://10.0.0.7:8000",
    "service_host": "10.0.0.7",
    "service_port": "8000",
    "port_8000_tcp_addr": "10.0.0.7",
}


@pytest.mark.parametrize("told", [TOLD, {}], ids=["variables", "none"])
def test_the_log_names_the_variables_of_kubernetes_that_were_ignored(tmp_path, told):
    publish_colours(tmp_path / "models")
    with starting(tmp_path / "models", **told) as process:
        lines = [line for line in iter_to_ready(process) if "Kubernetes" in line]
    names = [re.findall(r"HARMONIC_SERVE_\w+", line) for line in lines]
    assert names == ([sorted(f"HARMONIC_SERVE_{name.upper()}" for name in told)] if told else [])


def test_a_service_with_such_variables_serves(tmp_path):
    publish_colours(tmp_path / "models")
    with starting(tmp_path / "models", **TOLD) as process:
        assert httpx.get(f"{bound(process)}/livez").status_code == 200


def iter_to_ready(process):
    """What it logs until it listens."""
    for line in process.stderr:
        yield line
        if "running on" in line:
            return
