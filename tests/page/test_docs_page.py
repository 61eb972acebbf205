"""/docs in a real Chromium: it works without anything from elsewhere."""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture
def docs(browser, address):
    """The page of the routes, open; a line in its console or an address of elsewhere fails the test."""
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith((address, "data:")) or complaints.append(sent.url))
    page.goto(f"{address}/docs")
    yield page
    context.close()
    assert complaints == []


def test_every_route_is_shown(docs, address):
    for path in ("/v1/classify", "/livez", "/v2/models/{name}/infer"):
        sync_api.expect(docs.locator(f'[data-path="{path}"]').first).to_be_visible()


def test_a_route_can_be_tried(docs):
    route = docs.locator(".opblock", has=docs.locator('[data-path="/livez"]'))
    route.locator(".opblock-summary").click()
    route.get_by_role("button", name="Try it out").click()
    route.get_by_role("button", name="Execute").click()
    sync_api.expect(route.locator(".live-responses-table")).to_contain_text('"alive"')
