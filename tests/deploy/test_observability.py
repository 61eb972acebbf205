"""What `docker-compose --profile observability up` lays beside the service, tried with a real Prometheus."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import free_port, serving

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/harmonic.json").read_text(encoding="utf-8"))
PATIENCE_S = 60
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


class Prometheus:
    """A Prometheus that scrapes a service, and a caller who keeps the service busy."""

    def __init__(self, client: httpx.Client, service: httpx.Client) -> None:
        self.client = client
        self.service = service

    def ask(self, path: str, **parameters: str) -> dict | list:
        answer = self.client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def eventually(self, expression: str) -> list:
        """The series of an expression as soon as it has numbers, while requests go on."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.traffic()
            series = self.ask("query", query=expression)["result"]
            if series and all(one["value"][1] != "NaN" for one in series):
                return series
        pytest.fail(f"{expression} gives nothing")

    def traffic(self) -> None:
        assert self.service.post("/v1/classify", content=plain()).status_code == 200
        assert self.service.post("/v1/classify", content=b"no image").status_code == 415


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    publish_colours(folder / "models")
    port = free_port()
    with serving(folder / "models") as (address, _):
        config = (DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8")
        config = config.replace("harmonic:8000", address.removeprefix("http://"))
        config = re.sub(r"(scrape|evaluation)_interval: \d+s", r"\1_interval: 1s", config)
        (folder / "prometheus.yml").write_text(config)
        shutil.copy(DEPLOY / "prometheus/alerts.yml", folder)
        with (
            running(folder, port) as process,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
            httpx.Client(base_url=address, timeout=PATIENCE_S) as service,
        ):
            yield started(Prometheus(client, service), process, folder / "log")


@contextmanager
def running(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def started(prometheus: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> Prometheus:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        try:
            if prometheus.client.get("/-/ready").status_code == 200:
                return prometheus
        except httpx.TransportError:
            prometheus.traffic()
    return pytest.fail(f"prometheus did not start: {log.read_text()}")


def spoken(expression: str) -> str:
    """A query of the dashboard with Grafana's variables filled in."""
    return expression.replace("$model", ".+").replace("$__rate_interval", "10s")


@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_of_the_dashboard_has_an_answer(prometheus, expression):
    assert prometheus.eventually(spoken(expression))


def test_prometheus_takes_every_sample_of_the_service(prometheus):
    prometheus.eventually('up{job="harmonic"} == 1')
    (target,) = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_a_sound_service_raises_no_alarm(prometheus):
    prometheus.eventually('up{job="harmonic"} == 1')
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) >= 8
    assert "firing" not in {rule["state"] for rule in rules}
    assert {rule.get("lastError", "") for rule in rules} == {""}


def test_the_metrics_have_help_and_base_units(prometheus):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    prometheus.traffic()
    text = prometheus.service.get("/metrics").content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    complaints = [line for line in done.stderr.decode().splitlines() if line.startswith("harmonic_")]
    assert complaints == []


@needs_promtool
@pytest.mark.parametrize(
    "command", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"]
)
def test_promtool_finds_nothing_wrong(command):
    done = subprocess.run(
        ["promtool", *command.split()], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test():
    alerts, tests = ((DEPLOY / "prometheus" / name).read_text() for name in ("alerts.yml", "alerts_test.yml"))
    names = re.findall(r"alert: (\w+)", alerts)
    assert len(names) >= 8
    for name in names:
        assert re.search(rf"alertname: {name}\n +exp_alerts:", tests), name


def test_every_alert_is_documented_and_no_other():
    alerts = re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text())
    documented = re.findall(r"^\| `(Harmonic\w+)`", (ROOT / "docs/observability.md").read_text(), re.MULTILINE)
    assert documented == alerts


def test_rules_and_dashboard_use_metrics_that_are_documented():
    documented = set(re.findall(r"^\| `(harmonic_\w+)`", (ROOT / "docs/observability.md").read_text(), re.MULTILINE))
    expressions = " ".join([query.values[0] for query in QUERIES] + [(DEPLOY / "prometheus/alerts.yml").read_text()])
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"harmonic_\w+", expressions)}
    assert used
    assert used <= documented


def test_whatever_an_alert_watches_has_a_panel():
    watched, shown = (
        {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"harmonic_\w+", text)}
        for text in (
            " ".join(re.findall(r"expr: (.*)", (DEPLOY / "prometheus/alerts.yml").read_text())),
            " ".join(query.values[0] for query in QUERIES),
        )
    )
    assert "harmonic_unsound_instances" in watched
    assert watched - shown == set()


def test_no_two_panels_lie_over_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
@pytest.mark.parametrize("files", [[], ["-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml"]])
def test_compose_takes_the_file_and_every_folder_it_mounts_exists(files):
    command = ["docker-compose", *files, "--profile", "observability", "config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mounted = re.findall(rf"- {re.escape(str(ROOT))}(/deploy\S*?):/", done.stdout)
    assert len(mounted) == 3
    assert all((ROOT / path.lstrip("/")).is_dir() for path in mounted)
