"""The service's edge beside keys and origins: HEAD, redirects, CORS, what is counted and what is told."""

import re

import pytest

from service.config import make
from tests.support.app import got, posted, serving
from tests.support.images import plain

PATHS = [
    "/livez",
    "/readyz",
    "/",
    "/docs",
    "/page/page.js",
    "/openapi.json",
    "/v1/models",
    "/metrics",
    "/v2/health/live",
]


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_its_body(repository, path):
    async with serving(repository) as (client, _):
        head, full = await client.head(path), await client.get(path)
        assert (head.status_code, head.content) == (full.status_code, b"")
        assert head.headers["Content-Type"] == full.headers["Content-Type"]
        if path != "/metrics":
            assert head.headers["Content-Length"] == full.headers["Content-Length"]


async def test_head_of_what_is_posted_is_refused(repository):
    async with serving(repository) as (client, _):
        assert (await client.head("/v1/classify")).status_code == 405
        assert (await client.head("/nowhere")).status_code == 404


@pytest.mark.parametrize("path", ["/livez/", "/v1/models/", "/v2/health/live/"])
async def test_nobody_is_sent_anywhere(repository, path):
    async with serving(repository) as (client, _):
        answer = await client.get(path, headers={"Host": "a.example"})
        assert (answer.status_code, answer.headers.get("Location")) == (404, None)


async def test_a_listed_origin_may_speak_the_binary_protocol(repository):
    async with serving(repository, cors_origins=("https://a.example",)) as (client, _):
        ask = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "inference-header-content-length, content-encoding",
        }
        assert (await client.options("/v2/models/colours/infer", headers=ask)).status_code == 200
        body = bytes(8 * 8 * 3)
        headers = {"Origin": "https://a.example", "Inference-Header-Content-Length": "0"}
        answer = await client.post("/v2/models/colours/infer", headers=headers, content=body)
        assert answer.status_code == 200, answer.text
        assert "Inference-Header-Content-Length" in answer.headers["Access-Control-Expose-Headers"]


async def test_an_unloaded_model_leaves_no_series_but_its_changes(repository):
    async with serving(repository, model_control="explicit", load_models="*") as (client, _):
        assert (await client.post("/v1/models/colours/classify", content=plain("red"))).status_code == 200
        assert (await client.post("/v1/models/colours/classify", content=b"no image")).status_code == 415
        assert 'model="colours"' in (await client.get("/metrics")).text
        assert (await client.post("/v2/repository/models/colours/unload")).status_code == 200
        left = [line for line in (await client.get("/metrics")).text.splitlines() if 'model="colours"' in line]
        assert {line.partition("{")[0] for line in left} <= {
            "harmonic_model_changes_total",
            "harmonic_model_changes_created",
        }
        assert (await client.post("/v2/repository/models/colours/load")).status_code == 200
        assert (await client.post("/v1/models/colours/classify", content=plain("red"))).status_code == 200
        metrics = (await client.get("/metrics")).text
        assert 'harmonic_request_seconds_count{model="colours",version="1"} 1.0' in metrics


async def test_refusals_are_counted_by_their_code(repository):
    secret, key = make("caller", ["inference"])

    async with serving(repository, keys=(key,)) as (client, _):
        bearer = {"Authorization": f"Bearer {secret}"}
        await client.get("/v1/models")
        await client.get("/nowhere")
        await client.post("/v2/repository/models/colours/unload", headers=bearer)
        await client.post("/v1/classify", headers={**bearer, "Origin": "https://a.example"})
        metrics = (await client.get("/metrics", headers=bearer)).text
        counted = dict(re.findall(r'harmonic_refusals_total\{code="(\w+)"\} ([\d.]+)', metrics))
        assert counted == {"unauthorized": "2.0", "forbidden": "1.0", "foreign_origin": "1.0"}


async def test_no_reason_tells_where_the_repository_lies(publish, tmp_path):
    publish()
    for damage in ("model.onnx", "golden.npz", "manifest.json"):
        (publish() / damage).write_bytes(b"x")
    (publish() / "model.onnx").unlink()
    publish(golden_shift=1.0)
    root = tmp_path / "models"
    publish(name="planless")
    (root / "planless" / "config.toml").write_text("x")
    listed = (await got(root, "/v1/models")).text + (await posted(root, "/v2/repository/index")).text
    assert listed.count("broken") >= 5
    assert str(tmp_path) not in listed
    assert "colours/4" in listed
