"""What docs/upgrade.md promises: the ways back to an older version, and what another build's files come to."""

import json
import time
from pathlib import Path

import httpx
import pytest

from harmonic.bundles import Card
from harmonic.pixels import PixelSpec
from tests.support.colours import publish_colours
from tests.support.commands import refused
from tests.support.images import plain
from tests.support.process import PATIENCE_S, run, serving


def answering(url: str, version: int) -> None:
    """Return when that version answers where none is named."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = httpx.post(f"{url}/v1/models/colours/classify", content=plain("blue"), timeout=PATIENCE_S)
        assert answer.status_code == 200
        if answer.json()["version"] == version:
            return
    pytest.fail(f"version {version} did not come: {answer.text}")


def test_every_way_back_leads_to_the_older_version_without_a_failed_request(tmp_path: Path) -> None:
    root = tmp_path / "models"
    publish_colours(root)
    newer = publish_colours(root)
    with serving(root, "--model-control", "poll", "--poll-seconds", "0.05") as (url, _):
        answering(url, 2)
        named = httpx.post(f"{url}/v1/models/colours/versions/1/classify", content=plain("blue"), timeout=PATIENCE_S)
        assert named.json()["version"] == 1
        pin = root / "colours" / "config.toml"
        pin.write_text('versions = "1"\n')
        answering(url, 1)
        pin.unlink()
        answering(url, 2)
        newer.rename(tmp_path / "withdrawn")
        answering(url, 1)


def test_a_version_of_another_form_is_left_out_with_the_reason_and_the_others_serve(tmp_path: Path) -> None:
    root = tmp_path / "models"
    publish_colours(root)
    manifest = publish_colours(root) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema_version": 99}))
    with serving(root) as (url, _):
        answering(url, 1)
        assert "schema 99; this build reads" in httpx.get(f"{url}/v1/models", timeout=PATIENCE_S).text


def test_a_bundle_of_another_form_is_told(tmp_path: Path) -> None:
    card = Card(architecture="wrn10_0.5", classes=("a", "b"), pixels=PixelSpec(height=8, width=8), schema_version=99)
    (tmp_path / "bundle.json").write_text(card.model_dump_json())
    assert "schema 99; this build reads" in refused("export", tmp_path, "--name", "x", "--repository", tmp_path / "m")


def test_a_setting_of_another_build_stops_the_start_by_its_name() -> None:
    ended = run("serve", "--repository", "models", not_yet_invented="1")
    assert ended.returncode == 2
    assert "HARMONIC_SERVE_NOT_YET_INVENTED" in ended.stderr.upper()
