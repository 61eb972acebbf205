"""The page about extending is true: each of its examples runs as a program of its own, and prints what it says."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.support import pages

SECTIONS = pages.sections("extending.md")


@pytest.mark.parametrize("heading", SECTIONS)
def test_an_example_runs(heading: str, tmp_path: Path) -> None:
    shutil.copytree(pages.DOCS.parent / "models", tmp_path / "models")
    Image.new("RGB", (32, 32), "navy").save(tmp_path / "sky.png")
    source = pages.code(SECTIONS[heading])
    assert len(pages.promised(source)) >= 2
    assert pages.run(source, tmp_path) == pages.promised(source)
