"""The page about extending is true: each of its examples runs as a program of its own, and prints what it says."""

import re
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
    for line in re.findall(r"^\+(.*)$", SECTIONS[heading], re.MULTILINE):
        with_format(line, tmp_path)
    source = pages.code(SECTIONS[heading])
    assert len(pages.promised(source)) >= 2
    run = pages.run_afresh if (tmp_path / "harmonic").exists() else pages.run
    assert run(source, tmp_path) == pages.promised(source)


def test_without_its_line_the_format_is_refused(tmp_path: Path) -> None:
    shutil.copytree(pages.DOCS.parent / "models", tmp_path / "models")
    with pytest.raises(AssertionError, match=r"1\.ppm|\.ppm"):
        pages.run(pages.code(SECTIONS["An image format"]), tmp_path)


def with_format(line: str, folder: Path) -> None:
    """A copy of the package beside the example, which finds it first, with a line more in the list of formats."""
    shutil.copytree(pages.DOCS.parent / "harmonic", folder / "harmonic")
    formats = folder / "harmonic" / "pixels" / "formats.py"
    before = formats.read_text(encoding="utf-8")
    after = before.replace("READ = (\n", f"READ = (\n{line}\n")
    assert after != before
    formats.write_text(after, encoding="utf-8")
