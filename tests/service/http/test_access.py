"""Who may ask for what, over HTTP: keys, scopes, limits, other origins, headers."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.config import Settings, make
from service.http.app import assemble
from tests.support.app import Client, got, posted, refused, serving, top
from tests.support.images import plain

CALLER, CALLERS = make("caller", ["inference"])
OPERATOR, OPERATORS = make("operator", ["control"])
KEYS = (CALLERS, OPERATORS)
LIMITED = (CALLERS.model_copy(update={"requests_per_minute": 2, "body_bytes": 200}),)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_without_keys_nothing_is_asked_for(repository):
    assert top(await posted(repository, content=plain("red"))) == ["red"]


async def test_a_key_opens_and_its_scheme_may_be_written_as_one_likes(repository):
    for headers in (bearer(CALLER), {"Authorization": f"bearer  {CALLER} "}):
        assert top(await posted(repository, content=plain("red"), headers=headers, settings={"keys": KEYS})) == ["red"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", CALLER)],
        [("Authorization", f"Basic {CALLER}")],
        [("Authorization", f"Bearer {CALLER}x")],
        [("Authorization", f"Bearer {CALLER[:-1]}")],
        [("Authorization", f"Bearer {CALLERS.sha256}")],
        [("Authorization", "Bearer " + "\xff" * 1000)],
        [("Authorization", f"Bearer {CALLER}"), ("Authorization", f"Bearer {CALLER}")],
        [("X-Api-Key", CALLER)],
    ],
)
async def test_without_a_sound_key_the_answer_is_401_and_says_what_is_wanted(repository, headers):
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    response = await posted(repository, content=plain(), headers=raw, settings={"keys": KEYS})
    refused(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert CALLER not in response.text


async def test_a_key_in_the_address_is_no_key(repository):
    refused(
        await posted(repository, f"/v1/classify?key={CALLER}", content=plain(), settings={"keys": KEYS}),
        401,
        "unauthorized",
    )


async def test_a_key_of_another_scope_is_a_403(repository):
    response = await posted(repository, content=plain(), headers=bearer(OPERATOR), settings={"keys": KEYS})
    refused(response, 403, "forbidden")
    assert 'scope="inference"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "url",
    [
        "/v2/repository/models/colours/load",
        "/v2/repository/models/colours/unload",
        "/v1/control/models/colours/norm/reset",
    ],
)
async def test_an_inference_key_controls_no_model(repository, url):
    response = await posted(repository, url, headers=bearer(CALLER), settings={"keys": KEYS})
    assert response.status_code == 403
    assert 'scope="control"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs"])
async def test_probes_and_documents_want_no_key(repository, path):
    assert (await got(repository, path, keys=KEYS)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/models", "/metrics", "//v1/models", "/V1/models", "/livez/", "/nowhere", "/docs/x"]
)
async def test_everything_else_wants_one_even_what_is_not_there(repository, path):
    refused(await got(repository, f"http://service{path}", keys=KEYS), 401, "unauthorized")


async def test_any_key_may_read_the_metrics(repository):
    async with serving(repository, keys=KEYS) as (client, _):
        for secret in (CALLER, OPERATOR):
            assert (await client.get("/metrics", headers=bearer(secret))).status_code == 200


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(repository):
    async with serving(repository, keys=LIMITED) as (client, _):
        for _ in range(2):
            assert (await client.get("/v1/models", headers=bearer(CALLER))).status_code == 200
        response = await client.get("/v1/models", headers=bearer(CALLER))
        refused(response, 429, "rate_limited")
        assert 1 <= int(response.headers["Retry-After"]) <= 30
        assert (await client.get("/livez")).status_code == 200


async def test_a_key_has_its_own_limit_of_body_declared_or_not(repository):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(100)

    for body in (bytes(201), chunks()):
        response = await posted(repository, content=body, headers=bearer(CALLER), settings={"keys": LIMITED})
        refused(response, 413, "body_too_large")
    assert len(plain()) < 200
    assert top(await posted(repository, content=plain("red"), headers=bearer(CALLER), settings={"keys": LIMITED})) == [
        "red"
    ]


async def test_other_origins_are_told_nothing_unless_they_are_listed(repository):
    async def asked(origin: str, **settings: Any) -> httpx.Response:
        async with serving(repository, keys=KEYS, **settings) as (client, _):
            ask = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            }
            preflight = await client.options("/v1/classify", headers=ask)
            answer = await client.post("/v1/classify", content=plain(), headers={"Origin": origin, **bearer(CALLER)})
            assert answer.headers.get("access-control-allow-origin") == preflight.headers.get(
                "access-control-allow-origin"
            )
            return preflight

    assert "access-control-allow-origin" not in (await asked("https://a.example")).headers
    allowed = {"cors_origins": ("https://a.example",)}
    assert (await asked("https://a.example", **allowed)).headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-origin" not in (await asked("https://b.example", **allowed)).headers


@pytest.mark.parametrize("url", ["/livez", "/v1/models", "/nowhere", "/metrics", "/docs"])
async def test_every_answer_carries_the_security_headers(repository, url):
    headers = (await got(repository, url)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers.get_list("Content-Security-Policy")[1:] == []
    assert "server" not in headers


async def test_a_fault_of_the_service_carries_them_too_and_tells_nothing(repository):
    service = assemble(Settings(repository=repository))

    @service.app.get("/fault")
    async def fault() -> None:
        raise RuntimeError("a secret of the service")

    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        async with service.app.router.lifespan_context(service.app), Client(transport=transport) as client:
            return await client.get("http://service/fault")

    response = await story()
    refused(response, 500, "internal")
    assert "secret" not in response.text
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_every_answer_closes_its_connection_while_the_service_shuts_down(repository):
    async with serving(repository) as (client, engine):
        assert "connection" not in (await client.get("/livez")).headers
        await engine.drain()
        for url in ("/livez", "/readyz", "/metrics", "/nowhere", "/v1/models"):
            assert (await client.get(url)).headers.get_list("connection") == ["close"], url
        assert (await client.post("/v1/classify", content=plain())).headers.get_list("connection") == ["close"]


async def test_a_port_for_operators_has_probes_and_metrics_and_nothing_else(repository):
    service = assemble(Settings(repository=repository, admin_port=0, keys=KEYS))

    transport = httpx.ASGITransport(service.admin)
    async with (
        service.app.router.lifespan_context(service.app),
        Client(transport=transport, base_url="http://a") as client,
    ):
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/", "/v1/models", "/docs", "/openapi.json", "/v1/classify"):
            assert (await client.get(path)).status_code == 404, path
    main = {"admin_port": 0}
    assert (await got(repository, "/metrics", **main)).status_code == 404
    assert (await got(repository, "/readyz", **main)).status_code == 200
