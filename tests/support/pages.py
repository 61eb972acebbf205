"""The code of the documentation's pages, to be run as a reader would: block after block, in one process.

A line `print(...)  # text` promises that the text is what is printed.
"""

import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

from tests.support.forks import complaints, ended, forked

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMISE = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)


def sections(page: str) -> dict[str, str]:
    """The sections of a page that have code, by heading, each after as many empty lines as stand before it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found, before = {}, parts[0].count("\n")
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        if _BLOCK.search(body):
            found[heading] = "\n" * before + body
        before += body.count("\n")
    return found


def code(text: str) -> str:
    """The Python blocks of a text. Every line keeps its number, so that an error points into the page."""
    lines = [""] * text.count("\n")
    for block in _BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n")
        inner = block[1].splitlines()
        lines[first : first + len(inner)] = inner
    return "\n".join(lines) + "\n"


def run(source: str, folder: Path) -> list[str]:
    """Run code in a folder, in a process of its own; the lines that it prints. An error fails the test."""
    script, said = folder / "page.py", folder / "page.out"
    script.write_text(source, encoding="utf-8")
    code = ended(forked(said, _run, script))
    assert code == 0, complaints(said).read_text(encoding="utf-8")
    return said.read_text(encoding="utf-8").splitlines()


def run_afresh(source: str, folder: Path) -> list[str]:
    """The same in a process that has loaded nothing: a package in the folder is found before the installed one."""
    (folder / "page.py").write_text(source, encoding="utf-8")
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(DOCS.parent), "PYTHONWARNINGS": "error::DeprecationWarning"}
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=folder,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _run(script: Path) -> None:
    """As `python page.py` does it."""
    os.chdir(script.parent)
    sys.path[0:0] = [str(script.parent), str(DOCS.parent)]
    warnings.simplefilter("error", DeprecationWarning)
    runpy.run_path(str(script), run_name="__main__")


def promised(source: str) -> list[str]:
    """What the code's comments say that it prints."""
    return _PROMISE.findall(source)
