"""The Python page is true: its code runs, in order, and prints what its comments say."""

from pathlib import Path

from tests.support import pages


def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    source = pages.code((pages.DOCS / "python.md").read_text(encoding="utf-8"))
    assert len(pages.promised(source)) >= 8
    assert pages.run(source, tmp_path) == pages.promised(source)
