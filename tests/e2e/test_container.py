"""The container and compose file, tried on a real engine: answers, runs unprivileged, ends in order."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = [shutil.which("docker-compose")] if shutil.which("docker-compose") else ["docker", "compose"]

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        not shutil.which("docker")
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0,
        reason="no docker engine answers",
    ),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """`docker-compose up --build` on a repository with one small model: address, and environment for more commands."""
    models = tmp_path_factory.mktemp("models")
    publish_colours(models)
    models.chmod(0o755)
    port = free_port()
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": "harmonic-test",
        "HARMONIC_MODELS": str(models),
        "HARMONIC_PORT": str(port),
    }
    compose("up", "--build", "--detach", environment=environment)
    try:
        yield f"http://127.0.0.1:{port}", environment
    finally:
        compose("down", "--volumes", environment=environment)


def compose(*arguments: str, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        [*COMPOSE, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def inspected(environment: dict[str, str]) -> dict:
    container = compose("ps", "--quiet", "harmonic", environment=environment).strip()
    return json.loads(subprocess.check_output(["docker", "inspect", container], text=True))[0]


def test_it_becomes_healthy_and_classifies(service):
    url, environment = service
    give_up = time.monotonic() + 60
    while inspected(environment)["State"]["Health"]["Status"] == "starting" and time.monotonic() < give_up:
        subprocess.run(["docker", "events", "--since", "0s", "--until", "1s"], capture_output=True, check=False)
    assert inspected(environment)["State"]["Health"]["Status"] == "healthy"
    answer = httpx.post(f"{url}/v1/classify", content=plain("green"))
    assert answer.json()["predictions"][0]["classes"][0]["label"] == "green"


def test_it_runs_unprivileged_on_a_read_only_root_within_limits(service):
    _, environment = service
    facts = inspected(environment)
    assert facts["Config"]["User"] == "10001"
    assert facts["HostConfig"]["ReadonlyRootfs"] is True
    assert facts["HostConfig"]["Memory"] > 0
    assert facts["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert [(m["Destination"], m["RW"]) for m in facts["Mounts"] if m["Type"] == "bind"] == [("/models", False)]


def test_its_image_carries_no_torch(service):
    _, environment = service
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)"
    compose("exec", "-T", "harmonic", "python", "-c", probe, environment=environment)


def test_its_image_has_at_most_400_mb(service):
    _, environment = service
    image = inspected(environment)["Image"]
    size = int(subprocess.check_output(["docker", "image", "inspect", "--format", "{{.Size}}", image]))
    assert size <= 400e6, f"{size / 1e6:.0f} MB; `docker history harmonic:cpu` says which layer grew"


def test_what_its_image_leaves_out_no_module_of_the_service_needs(service):
    """Every module is imported where it is to run, but for those that need PyTorch or an extra."""
    _, environment = service
    probe = (
        "import importlib, pkgutil, service\n"
        "for found in pkgutil.walk_packages(service.__path__, 'service.'):\n"
        "    if not found.name.startswith(('service.runtime.native', 'service.runtime.adaptive_norm')):\n"
        "        importlib.import_module(found.name)\n"
        "        print(found.name)"
    )
    seen = compose("exec", "-T", "harmonic", "python", "-c", probe, environment=environment).split()
    wanted = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "service").glob("*/*.py")}
    missing = {name for name in wanted if not name.endswith("__init__")} - set(seen)
    assert missing == {"service.runtime.native", "service.runtime.adaptive_norm"}


def test_its_command_classifies_in_the_container(service):
    _, environment = service
    picture = "from PIL import Image; Image.new('RGB', (9, 9), 'green').save('/tmp/green.avif')"
    compose("exec", "-T", "harmonic", "python", "-c", picture, environment=environment)
    command = ("harmonic", "classify", "--json", "--url", "http://127.0.0.1:8000", "/tmp/green.avif")
    answer = json.loads(compose("exec", "-T", "harmonic", *command, environment=environment))
    assert answer["classes"][0]["label"] == "green"


def test_extras_are_built_in_where_they_are_asked_for(service):
    """The stage that installs is enough, and every layer before it is there."""
    image = "harmonic-test:heic"
    build = ["docker", "build", "--target", "build-cpu", "--build-arg", "EXTRAS=heic", "--tag", image, "."]
    base = [f"--build-arg=BASE_IMAGE={os.environ['BASE_IMAGE']}"] if "BASE_IMAGE" in os.environ else []
    subprocess.run([*build, *base], cwd=ROOT, check=True, capture_output=True)
    python = ["docker", "run", "--rm", image, "/opt/harmonic/bin/python"]
    subprocess.run([*python, "-c", "import pillow_heif, onnxruntime, service.http.app"], check=True)


def test_it_ends_in_order(service):
    _, environment = service
    facts = inspected(environment)
    compose("stop", environment=environment)
    state = json.loads(subprocess.check_output(["docker", "inspect", facts["Id"]], text=True))[0]["State"]
    assert state["ExitCode"] == 0
