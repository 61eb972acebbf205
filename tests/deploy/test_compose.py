"""The compose file, as text: what it passes on, and what it keeps to itself."""

import re
from pathlib import Path

from service.config.fields import PREFIX
from service.config.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE_GPU = (ROOT / "docker-compose.gpu.yml").read_text(encoding="utf-8")


def test_every_setting_of_the_environment_reaches_the_service():
    passed = re.findall(rf"^ +- {PREFIX}([A-Z0-9_]+)$", COMPOSE, re.MULTILINE)
    assert {name.lower() for name in passed} == Settings.model_fields.keys() - {"repository", "host", "port"}
    assert len(passed) == len(set(passed))


def test_nothing_is_published_beyond_this_machine_unless_asked_for():
    published = re.findall(r'^ +- "(.*:\d+)"$', COMPOSE, re.MULTILINE)
    assert len(published) == 3
    assert all("127.0.0.1" in place for place in published)


def test_no_volume_is_made_without_its_profile():
    assert not re.search(r"^volumes:", COMPOSE, re.MULTILINE)


def test_the_number_of_processes_is_bounded():
    # A variable would be text, which docker-compose 1 refuses.
    assert re.search(r"^    pids_limit: \d+$", COMPOSE, re.MULTILINE)


def test_the_gpu_service_is_not_held_to_the_limits_of_the_cpu_image():
    gpu = COMPOSE_GPU.partition("limits:")[2].partition("reservations:")[0]
    assert re.findall(r"(cpus|memory): \"?\$\{\w+:-(\w+)\}", gpu) == [("cpus", "0"), ("memory", "0")]  # 0 is none
