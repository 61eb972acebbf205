"""Pages of elsewhere, as a browser lets them ask."""

from typing import Any

import httpx
import pytest

from service.config import make
from tests.support.app import refused, serving, top
from tests.support.images import plain

HERE = "http://127.0.0.1:8000"
CHANGES = (
    "/v2/repository/models/colours/unload",
    "/v2/repository/models/colours/load",
    "/v1/control/models/colours/norm/reset",
)
FOREIGN = (
    {"Origin": "https://a.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9000"},
    {"Origin": "http://[broken"},
    {"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:9000", "Sec-Fetch-Site": "same-site"},
)
OWN = ({}, {"Origin": HERE}, {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"})


async def asked(
    repository: Any, url: str, headers: dict[str, str], content: bytes = b"", method: str = "POST", **settings: Any
) -> httpx.Response:
    async with serving(repository, model_control="explicit", load_models="*", **settings) as (client, engine):
        answer = await client.request(method, HERE + url, headers=headers, content=content)
        assert engine.ready() == (not url.endswith("unload") or answer.status_code != 200)
        return answer


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("url", CHANGES)
async def test_a_foreign_page_changes_nothing(repository, url, headers):
    answer = await asked(repository, url, headers)
    assert answer.status_code == 403, answer.text
    assert "cors_origins" in answer.text


@pytest.mark.parametrize("headers", OWN)
async def test_the_services_own_page_and_programs_may(repository, headers):
    assert (await asked(repository, CHANGES[0], headers)).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_has_nothing_computed(repository, headers):
    refused(await asked(repository, "/v1/classify", headers, plain("red")), 403, "foreign_origin")


async def test_a_page_behind_a_proxy_that_changes_the_host_may_ask(repository):
    headers = {"Origin": "https://models.example", "Sec-Fetch-Site": "same-origin"}
    assert top(await asked(repository, "/v1/classify", headers, plain("red"))) == ["red"]


async def test_reading_is_left_to_what_the_browser_lets_a_page_read(repository):
    assert (await asked(repository, "/v1/models", FOREIGN[0], method="GET")).status_code == 200


async def test_a_listed_origin_may(repository):
    listed = {"cors_origins": ("https://a.example",)}
    assert (await asked(repository, CHANGES[0], FOREIGN[4], **listed)).status_code == 200
    assert top(await asked(repository, "/v1/classify", FOREIGN[0], plain("red"), **listed)) == ["red"]


async def test_any_origin_may_ask_where_any_is_listed_and_still_change_nothing(repository):
    anyone = {"cors_origins": ("*",)}
    assert top(await asked(repository, "/v1/classify", FOREIGN[0], plain("red"), **anyone)) == ["red"]
    assert (await asked(repository, CHANGES[0], FOREIGN[0], **anyone)).status_code == 403


@pytest.mark.parametrize("host", ["a.example", "a.example:8000", "127.0.0.1.a.example:8000", "localhost.a.example", ""])
@pytest.mark.parametrize(("method", "url"), [("GET", "/v1/models"), ("GET", "/"), ("POST", CHANGES[0])])
async def test_a_name_that_was_made_to_point_here_gets_nothing(repository, method, url, host):
    answer = await asked(repository, url, {"Host": host}, method=method)
    assert answer.status_code == 421, answer.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "LocalHost", "localhost.:80", "[::1]:8000", "a.localhost", "10.0.0.7"]
)
async def test_its_own_names_do(repository, host):
    assert (await asked(repository, "/v1/models", {"Host": host}, method="GET")).status_code == 200


async def test_a_name_that_the_operator_listed_does(repository):
    named = {"allowed_hosts": ("Models.example",)}
    assert (
        await asked(repository, "/v1/models", {"Host": "models.example:8000"}, method="GET", **named)
    ).status_code == 200
    refused(await asked(repository, "/v1/models", {"Host": "a.example"}, method="GET", **named), 421, "foreign_host")


async def test_where_a_key_is_wanted_or_everybody_may_come_the_name_does_not_matter(repository):
    secret, key = make("operator", ["control", "inference"])
    headers = {"Host": "a.example", "Authorization": f"Bearer {secret}"}
    assert (await asked(repository, "/v1/models", headers, method="GET", keys=(key,))).status_code == 200
    open_to_all = {"host": "0.0.0.0", "keys": (key,)}
    assert (await asked(repository, "/v1/models", headers, method="GET", **open_to_all)).status_code == 200
