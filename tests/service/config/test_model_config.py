from pathlib import Path

import pytest

from service.batching import BatchPolicy
from service.config.model_config import Plan, PlanError
from service.config.plans import read_plan
from service.config.settings import Settings
from service.config.versions import version_policy


def plan(root: Path, text: str | None = None, **settings: object) -> Plan:
    (root / "m").mkdir(exist_ok=True)
    if text is not None:
        (root / "m" / "config.toml").write_text(text)
    return read_plan(root, "m", Settings(repository=root, **settings))


def test_without_a_file_the_settings_hold(tmp_path):
    expected = Plan(BatchPolicy(max_size=8), 2, version_policy("latest"))
    assert plan(tmp_path, max_batch=8, instances=2, versions="latest") == expected


def test_the_file_wins_over_the_settings_and_the_operators_entry_over_the_file(tmp_path):
    text = 'max_size = 4\nwindow_ms = 1.5\npriority_levels = 3\ndefault_priority = 2\ninstances = 3\nversions = "1,2"'
    expected = BatchPolicy(max_size=4, window_ms=2.5, max_queue=99, priority_levels=3, default_priority=2)
    found = plan(tmp_path, text, max_batch=8, max_queue=99, policies={"m": {"window_ms": 2.5, "versions": "latest"}})
    assert found == Plan(expected, 3, version_policy("latest"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_size = 0", "max_size"),
        ("max_sise = 1", "max_sise"),
        ('versions = "newest"', "versions"),
        ("max_size = ", "config.toml"),
        ("max_size = 512", "queue"),
        ("default_priority = 2", "priority"),
        ("x" * 70_000, "larger"),
        ("instances = 1000", "instances"),
    ],
)
def test_a_file_that_cannot_be_followed_is_named(tmp_path, text, said):
    with pytest.raises(PlanError, match=said) as refusal:
        plan(tmp_path, text)
    assert "config.toml" in refusal.value.message


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match=r"config\.toml"):
        plan(tmp_path)
