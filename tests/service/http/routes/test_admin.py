"""What operators ask: models, probes, metrics."""

import asyncio

from service.engine import Engine
from service.http.schemas import ModelDetail, ModelList
from tests.support.app import Client, got, posted, refused, told
from tests.support.images import plain


def test_batches_show_in_the_metrics(repository):
    async def story(client: Client, _: Engine) -> str:
        await asyncio.gather(*(client.post("/v1/classify", content=plain()) for _ in range(10)))
        await client.post("/v1/classify", content=b"x")
        return (await client.get("/metrics")).text

    lines = told(repository, story, window_ms=50).splitlines()
    assert 'harmonic_batch_size_sum{model="colours",version="1"} 10.0' in lines
    assert 'harmonic_requests_total{model="colours",status="200",version="1"} 10.0' in lines
    assert 'harmonic_requests_total{model="colours",status="415",version="1"} 1.0' in lines
    assert 'harmonic_model_ready{model="colours",provider="CPUExecutionProvider",version="1"} 1.0' in lines
    count = next(float(line.split()[-1]) for line in lines if line.startswith("harmonic_batch_size_count"))
    assert count < 10


def test_invented_names_do_not_become_labels(repository):
    async def story(client: Client, _: Engine) -> str:
        for number in range(5):
            await client.post(f"/v1/models/invented{number}/classify", content=plain())
        return (await client.get("/metrics")).text

    assert "invented" not in told(repository, story)


def test_the_models_are_described(repository):
    listed = ModelList.model_validate(got(repository, "/v1/models").json(), extra="forbid")
    version = listed.models[0].versions[0]
    assert (listed.models[0].name, version.state, version.classes) == ("colours", "ready", 3)
    assert (version.provider, version.device) == ("CPUExecutionProvider", "cpu")
    detail = ModelDetail.model_validate(got(repository, "/v1/models/colours").json(), extra="forbid")
    assert detail.versions[0].labels == ["red", "green", "blue"]
    assert detail.versions[0].license == "Apache-2.0"
    refused(got(repository, "/v1/models/none"), 404, "model_not_found")


def test_ready_is_503_without_a_model_and_alive_is_200(tmp_path):
    assert got(tmp_path, "/readyz").status_code == 503
    assert got(tmp_path, "/livez").status_code == 200
    refused(posted(tmp_path, content=plain()), 503, "not_ready")


def test_ready_is_200_with_a_model(repository):
    assert got(repository, "/readyz").status_code == 200
    assert got(repository, "/readyz", default_model="another", model_control="poll").status_code == 503
