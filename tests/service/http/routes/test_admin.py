"""What operators ask: models, probes, metrics."""

import asyncio

from service.answers import ModelDetail, ModelList
from tests.support.app import got, posted, refused, serving
from tests.support.images import plain


async def test_batches_show_in_the_metrics(repository):
    async with serving(repository, window_ms=50) as (client, _):
        await asyncio.gather(*(client.post("/v1/classify", content=plain()) for _ in range(10)))
        await client.post("/v1/classify", content=b"x")
        lines = (await client.get("/metrics")).text.splitlines()
    assert 'harmonic_batch_size_sum{model="colours",version="1"} 10.0' in lines
    assert 'harmonic_requests_total{model="colours",status="200",version="1"} 10.0' in lines
    assert 'harmonic_requests_total{model="colours",status="415",version="1"} 1.0' in lines
    assert 'harmonic_model_ready{model="colours",provider="CPUExecutionProvider",version="1"} 1.0' in lines
    count = next(float(line.split()[-1]) for line in lines if line.startswith("harmonic_batch_size_count"))
    assert count < 10


async def test_invented_names_do_not_become_labels(repository):
    async with serving(repository) as (client, _):
        for number in range(5):
            await client.post(f"/v1/models/invented{number}/classify", content=plain())
        text = (await client.get("/metrics")).text
    assert "invented" not in text
    assert "harmonic_requests_total{" in text


async def test_the_models_are_described(repository):
    listed = ModelList.model_validate((await got(repository, "/v1/models")).json(), extra="forbid")
    version = listed.models[0].versions[0]
    assert (listed.models[0].name, version.state, version.classes) == ("colours", "ready", 3)
    assert (version.provider, version.device) == ("CPUExecutionProvider", "cpu")
    detail = ModelDetail.model_validate((await got(repository, "/v1/models/colours")).json(), extra="forbid")
    assert detail.versions[0].labels == ["red", "green", "blue"]
    assert detail.versions[0].license == "Apache-2.0"
    refused(await got(repository, "/v1/models/none"), 404, "model_not_found")


async def test_ready_is_503_without_a_model_and_alive_is_200(tmp_path):
    assert (await got(tmp_path, "/readyz")).status_code == 503
    assert (await got(tmp_path, "/livez")).status_code == 200
    refused(await posted(tmp_path, content=plain()), 503, "not_ready")


async def test_ready_is_200_with_a_model(repository):
    assert (await got(repository, "/readyz")).status_code == 200
    assert (await got(repository, "/readyz", default_model="another", model_control="poll")).status_code == 503
