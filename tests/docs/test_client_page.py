"""The page about the client is true: its code runs against a service, in order, and prints what its comments say."""

from pathlib import Path

from tests.support import pages
from tests.support.process import serving


def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    source = pages.code((pages.DOCS / "client.md").read_text(encoding="utf-8"))
    assert len(pages.promised(source)) >= 8
    with serving(pages.DOCS.parent / "models") as (url, _):
        found = pages.run(source.replace("http://127.0.0.1:8000", url), tmp_path)
    assert found == pages.promised(source)
