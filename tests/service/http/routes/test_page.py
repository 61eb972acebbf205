"""The page's files and what it reads of a version, over HTTP."""

import re
from html.parser import HTMLParser
from importlib import resources

import pytest

from export.manifest import CARD
from service.engine import DOCUMENTS
from service.http.routes import documentation
from service.http.routes.page import PATHS
from tests.support.app import got, refused, serving
from tests.support.documents import FOUND, LAYERS, MARKDOWN, add_documents, add_report
from tests.support.images import plain

BASE = "/v1/models/colours/versions/1"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", sorted(PATHS | documentation.PATHS))
async def test_a_file_of_the_page_comes_with_a_strict_policy(repository, path):
    answer = await got(repository, path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_every_file_of_the_page_is_served_and_no_other():
    files = {file.name for file in resources.files("service").joinpath("http", "page").iterdir()}
    assert files == {path.rpartition("/")[2] or "index.html" for path in PATHS}


async def test_the_page_needs_nothing_from_elsewhere(repository):
    for path in sorted(PATHS):
        text = (await got(repository, path)).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(src|href|url|import|fetch)\W{1,3}(https?:)?//", text), path


async def test_the_page_has_no_script_or_style_in_its_markup(repository):
    for tag, attributes in Tags((await got(repository, "/")).text).found:
        assert tag != "style"
        assert tag != "script" or "src" in attributes
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


async def test_there_is_one_page_of_routes_and_it_names_nothing_of_elsewhere(repository):
    page = (await got(repository, "/docs")).text
    assert "//" not in page
    assert [tag for tag, attributes in Tags(page).found if tag == "script" and "src" not in attributes] == []
    assert (await got(repository, "/redoc")).status_code == 404


async def test_an_unchanged_file_is_not_sent_again(repository):
    async with serving(repository) as (client, _):
        first = await client.get("/page/page.css")
        again = await client.get("/page/page.css", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/page/", "/page/../app.py", "/page/%2e%2e/app.py", "/page/none.js", "/page/page.css/"]
)
async def test_nothing_else_can_be_fetched(repository, path):
    assert (await got(repository, path)).status_code in {307, 404}


async def test_the_documents_of_a_version_can_be_read(publish, tmp_path):
    add_documents(publish())
    card = await got(tmp_path / "models", f"{BASE}/card")
    assert (card.text, card.headers["Content-Type"]) == (MARKDOWN, "text/markdown; charset=utf-8")
    assert "sandbox" in card.headers["Content-Security-Policy"]
    assert (await got(tmp_path / "models", f"{BASE}/spectrum")).json() == LAYERS
    report = await got(tmp_path / "models", f"{BASE}/report")
    assert (report.json(), report.headers["Content-Type"]) == (FOUND, "application/json")
    assert "sandbox" in report.headers["Content-Security-Policy"]


async def test_a_report_that_is_a_page_is_none_to_a_browser(publish, tmp_path):
    add_report(publish(), "<script>document.title='trapped'</script>")
    answer = await got(tmp_path / "models", f"{BASE}/report")
    headers = answer.headers
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("application/json", "nosniff")
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


async def test_a_document_without_end_is_not_shown(publish, tmp_path):
    add_report(publish(), "[" * (4 * 2**20 + 1))
    said = refused(await got(tmp_path / "models", f"{BASE}/report"), 404, "document_not_found")
    assert "larger than the 4,194,304 bytes" in said


@pytest.mark.parametrize("what", DOCUMENTS)
async def test_a_version_without_documents_says_so(repository, what):
    refused(await got(repository, f"{BASE}/{what}"), 404, "document_not_found")


@pytest.mark.parametrize(("what", "file"), DOCUMENTS.items())
async def test_a_document_that_the_manifest_does_not_promise_is_not_read(publish, tmp_path, what, file):
    (publish() / file).write_text("{}")
    refused(await got(tmp_path / "models", f"{BASE}/{what}"), 404, "document_not_found")


async def test_a_document_that_vanished_is_told(publish, tmp_path):
    version = publish()
    add_documents(version)

    async with serving(tmp_path / "models") as (client, _):
        (version / CARD).unlink()
        refused(await client.get(f"{BASE}/card"), 404, "document_not_found")
        assert (await client.post("/v1/classify", content=plain())).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/models/none/versions/1/card", 404, "model_not_found"),
        ("/v1/models/colours/versions/9/card", 404, "model_not_found"),
        ("/v1/models/colours/versions/0/card", 422, "invalid_request"),
        ("/v1/models/colours/versions/x/card", 422, "invalid_request"),
        (f"/v1/models/colours/versions/{'9' * 5000}/card", 422, "invalid_request"),
        ("/v1/models/..%2f..%2fetc/versions/1/card", 404, "route_not_found"),
        ("/v1/models/%2e%2e/versions/1/card", 404, "model_not_found"),
    ],
)
async def test_a_document_of_nothing_is_refused(repository, path, status, code):
    refused(await got(repository, path), status, code)


async def test_activity_counts_what_was_done(repository):
    async with serving(repository) as (client, _):
        before = (await client.get("/v1/activity")).json()
        for _ in range(3):
            await client.post("/v1/classify", content=plain())
        after = (await client.get("/v1/activity")).json()
        (version,) = after["versions"]
        assert (version["model"], version["version"], version["images"], version["waiting"]) == ("colours", 1, 3, 0)
        assert after["clock_s"] > before["clock_s"]
        counts, bounds = version["latency"]["counts"], version["latency"]["bounds"]
        assert counts == sorted(counts)
        assert (len(counts), counts[-1], bounds[-1]) == (len(bounds), 3, None)
