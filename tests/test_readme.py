"""The README is true: its targets exist, its commands run, its links lead somewhere, its transcript is what comes."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from export.processor import multiplies_int8
from tests.support.process import run, serving

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (harmonic .*)$", README, re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    ended = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_harmonic_command_takes_its_options(command: str) -> None:
    _, name, *rest = shlex.split(command)
    shown = run(name, "--help", COLUMNS="200")
    assert shown.returncode == 0
    assert all(word in shown.stdout for word in rest if word.startswith("--"))


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_transcript_is_what_one_sees(tmp_path: Path) -> None:
    command, answer = re.search(r"^\$ (curl .*)\n(\{.*\})$", README, re.MULTILINE).groups()  # type: ignore[union-attr]
    Image.new("RGB", (200, 100), "navy").save(tmp_path / "dog.jpg")
    with serving(ROOT / "models") as (url, _):
        seen = subprocess.check_output(shlex.split(command.replace("http://127.0.0.1:8000", url)), cwd=tmp_path)
    shown = json.loads(answer)
    if not multiplies_int8():  # there float32 answers
        assert shown.pop("precision") == "int8"
    assert _shape(json.loads(seen)) == _shape(shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#\s,]+)[)#]", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_file_of_the_examples_is_explained() -> None:
    explained = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    suffixes = r"\b[a-z0-9_-]+\.(?:zip|th|pth|pt7)\b"
    lines = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    used = {
        name for line in lines if re.match(r"\s*(\$ )?(harmonic|python) ", line) for name in re.findall(suffixes, line)
    }
    assert "cifar10-test.zip" in used
    assert {name for name in used if f"`{name}`" not in explained} == set()


def _shape(value: object) -> object:
    """The keys and kinds of an answer, without its figures."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return type(value).__name__
