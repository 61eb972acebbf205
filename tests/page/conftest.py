"""A real Chromium and a real service for the page."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.colours import publish_colours
from tests.support.documents import add_documents
from tests.support.process import PATIENCE_S, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with two models; one has two versions, one of them broken, and documents."""
    root = tmp_path_factory.mktemp("page") / "models"
    add_documents(publish_colours(root))
    publish_colours(root, golden_shift=1.0)
    publish_colours(root, name="other")
    with serving(root, default_model="colours") as (url, _):
        yield url


@pytest.fixture(scope="module")  # it runs an event loop in this thread as long as it lives
def browser():
    """Chromium; the test is skipped where it or its driver is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    sync_api.expect.set_options(timeout=1000 * PATIENCE_S)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address, request):
    """The page, open; a line in its console or an address of elsewhere fails the test."""
    context = browser.new_context(reduced_motion="reduce", **getattr(request, "param", {}))
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith((address, "blob:")) or complaints.append(sent.url))
    page.goto(address)
    page.locator("#facts dd").first.wait_for()
    yield page
    context.close()
    expected = [mark.args[0] for mark in request.node.iter_markers("complains")]
    assert [line for line in complaints if not any(part in line for part in expected)] == []
