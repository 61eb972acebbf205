"""The service over HTTP, as its callers see it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.config import Settings
from service.engine import Engine
from service.http.app import build
from service.http.schemas import Classification, ModelDetail, ModelList
from tests.support.images import encoded, noise, plain

Client = httpx.AsyncClient
PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'


@asynccontextmanager
async def serving(repository: Path, **settings: Any) -> AsyncIterator[tuple[Client, Engine]]:
    app, engine = build(Settings(repository=repository, **settings))
    async with (
        app.router.lifespan_context(app),
        Client(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://service") as client,
    ):
        yield client, engine


def told(repository: Path, story: Callable[[Client, Engine], Any], **settings: Any) -> Any:
    async def tell() -> Any:
        async with serving(repository, **settings) as (client, engine), asyncio.timeout(30):
            return await story(client, engine)

    return asyncio.run(tell())


def posted(
    repository: Path, url: str = "/v1/classify", settings: dict[str, Any] | None = None, **request: Any
) -> httpx.Response:
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post(url, **request)

    return told(repository, story, **(settings or {}))


def got(repository: Path, url: str, **settings: Any) -> httpx.Response:
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.get(url)

    return told(repository, story, **settings)


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["code"] == code
    return str(response.json()["error"]["message"])


def top(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [prediction["classes"][0]["label"] for prediction in response.json()["predictions"]]


@pytest.mark.parametrize(
    "url", ["/v1/classify", "/v1/models/colours/classify", "/v1/models/colours/versions/1/classify"]
)
def test_every_route_classifies(repository, url):
    assert top(posted(repository, url, content=plain("green"))) == ["green"]


@pytest.mark.parametrize(
    "kind", [None, "image/png", "image/whatever", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_a_raw_body_is_an_image_whatever_kind_it_says(repository, kind):
    headers = {"Content-Type": kind} if kind else {}
    assert top(posted(repository, content=plain("blue"), headers=headers)) == ["blue"]


def test_multipart_parts_are_answered_in_order(repository):
    parts = [("image", plain(colour)) for colour in ("red", "blue", "green")]
    assert top(posted(repository, files=parts)) == ["red", "blue", "green"]


def test_json_images_are_answered_in_order(repository):
    images = [base64.b64encode(plain(colour)).decode() for colour in ("green", "red")]
    assert top(posted(repository, json={"images": images})) == ["green", "red"]


def test_an_answer_is_what_the_document_says(repository):
    response = posted(repository, "/v1/classify?top_k=2", content=encoded(noise()))
    answer = Classification.model_validate(response.json(), extra="forbid")
    assert (answer.model, answer.version, len(answer.predictions[0].classes)) == ("colours", 1, 2)
    assert set(response.json()["timing_ms"]) == {"decode", "queue", "inference", "total"}
    assert answer.timing_ms.total >= answer.timing_ms.inference


def test_probabilities_are_a_distribution_likeliest_first(repository):
    classes = posted(repository, "/v1/classify?top_k=99", content=encoded(noise())).json()["predictions"][0]["classes"]
    probabilities = [entry["probability"] for entry in classes]
    assert len(classes) == 3
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities == sorted(probabilities, reverse=True)


@pytest.mark.parametrize("top_k", ["0", "-1", "x", "1.5", "", "9" * 30, "\u0661"])
def test_an_impossible_top_k_is_refused(repository, top_k):
    refused(posted(repository, "/v1/classify", params={"top_k": top_k}, content=plain()), 400, "bad_request")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/v1/models/none/classify", "model_not_found"),
        ("/v1/models/colours/versions/2/classify", "model_not_found"),
        ("/v1/models/colours/versions/x/classify", "model_not_found"),
        ("/v1/models/..%2f..%2fetc/classify", "route_not_found"),
        ("/v1/none", "route_not_found"),
    ],
)
def test_what_is_not_there_is_a_404(repository, url, code):
    refused(posted(repository, url, content=plain()), 404, code)


def test_another_method_is_a_405(repository):
    refused(got(repository, "/v1/classify"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", "image/png", 400, "bad_request"),
        (b"no image", "image/png", 415, "unsupported_image"),
        (plain()[:40], "image/png", 422, "image_not_decodable"),
        (b"text", "text/plain", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "bad_request"),
        (b"[]", "application/json", 400, "bad_request"),
        (b"{}", "application/json", 400, "bad_request"),
        (b'{"images": []}', "application/json", 400, "bad_request"),
        (b'{"images": "abcd"}', "application/json", 400, "bad_request"),
        (b'{"images": [1]}', "application/json", 400, "bad_request"),
        (b'{"images": ["%%%"]}', "application/json", 400, "bad_request"),
        (b'{"images": ["\xc3\xa4"]}', "application/json", 400, "bad_request"),
        (b'{"images": ["AAAA"], "top": 1}', "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"x", "multipart/form-data", 400, "bad_request"),
        (b"x", "multipart/form-data; boundary=b", 400, "bad_request"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % b"image" + b"x", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % b"picture" + b"x\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
        (PART % (b"x" * 5000) + b"x\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "bad_request"),
    ],
)  # fmt: skip
def test_a_wrong_body_says_what_is_wrong(repository, body, kind, status, code):
    assert refused(posted(repository, content=body, headers={"Content-Type": kind}), status, code)


def test_a_compressed_body_is_refused(repository):
    refused(posted(repository, content=plain(), headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type")


def test_the_bad_image_of_several_is_named(repository):
    message = refused(posted(repository, files=[("image", plain()), ("image", b"xx")]), 415, "unsupported_image")
    assert message.startswith("image 2 of 2")


def test_a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not(repository):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield bytes(100)

    limits = {"settings": {"body_bytes": 500}}
    refused(posted(repository, content=bytes(501), **limits), 413, "body_too_large")
    refused(posted(repository, content=chunks(), **limits), 413, "body_too_large")
    refused(posted(repository, content=chunks(), headers={"Content-Length": "10"}, **limits), 413, "body_too_large")


def test_a_body_that_never_ends_is_given_up(repository):
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    refused(posted(repository, content=stalled(), settings={"body_seconds": 0.05}), 408, "body_too_slow")


def test_bodies_together_stay_within_their_memory(repository):
    response = posted(repository, content=bytes(600), settings={"buffered_bytes": 500})
    refused(response, 429, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1


def test_memory_of_bodies_is_given_back(repository):
    async def story(client: Client, _: Engine) -> None:
        for _ in range(20):
            assert top(await client.post("/v1/classify", content=plain("red"))) == ["red"]

    told(repository, story, buffered_bytes=len(plain("red")))


def test_too_many_images_are_refused(repository):
    parts = [("image", plain())] * 5
    refused(posted(repository, files=parts, settings={"images_per_request": 4}), 400, "too_many_images")
    refused(posted(repository, files=parts, settings={"max_batch": 4}), 400, "too_many_images")
    body = {"images": [base64.b64encode(plain()).decode()] * 5}
    refused(posted(repository, json=body, settings={"images_per_request": 4}), 400, "too_many_images")


def test_millions_of_texts_are_too_many_images(repository):
    body = b'{"images": [' + b'"",' * 3_000_000 + b'""]}'
    answer = posted(repository, content=body, headers={"Content-Type": "application/json"})
    assert "64 images" in refused(answer, 400, "too_many_images")


def test_too_many_pixels_are_refused(repository):
    refused(
        posted(repository, content=plain(size=(101, 100)), settings={"image_pixels": 10_000}), 413, "image_too_large"
    )


def test_a_flood_is_refused_or_answered_and_the_next_request_is_served(repository):
    async def story(client: Client, _: Engine) -> None:
        data = encoded(noise(512))
        answers = await asyncio.gather(*(client.post("/v1/classify", content=data) for _ in range(60)))
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 429}
        busy = next(answer for answer in answers if answer.status_code == 429)
        refused(busy, 429, "queue_full")
        assert int(busy.headers["Retry-After"]) >= 1
        assert top(await client.post("/v1/classify", content=plain("red"))) == ["red"]

    told(repository, story, max_queue=2, max_batch=2)


def test_a_deadline_that_passes_is_a_504(repository):
    refused(posted(repository, content=encoded(noise(1500)), settings={"deadline_ms": 0.01}), 504, "deadline_exceeded")


def test_company_does_not_change_an_answer(repository):
    async def story(client: Client, _: Engine) -> None:
        bodies = [encoded(noise(seed=seed)) for seed in range(24)]
        alone = [(await client.post("/v1/classify", content=body)).json()["predictions"] for body in bodies]
        together = await asyncio.gather(*(client.post("/v1/classify", content=body) for body in bodies))
        for one, other in zip(alone, together, strict=True):
            for first, second in zip(one[0]["classes"], other.json()["predictions"][0]["classes"], strict=True):
                assert first["label"] == second["label"]
                assert first["probability"] == pytest.approx(second["probability"], abs=1e-5)

    told(repository, story)


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


def test_the_newest_ready_version_answers_and_the_older_stays_at_hand(publish, tmp_path):
    publish()
    publish()
    publish(golden_shift=1.0)
    root = tmp_path / "models"
    assert posted(root, content=plain()).json()["version"] == 2
    assert posted(root, "/v1/models/colours/versions/1/classify", content=plain()).json()["version"] == 1
    refused(posted(root, "/v1/models/colours/versions/3/classify", content=plain()), 503, "not_ready")


def test_several_models_want_a_default(publish, tmp_path):
    publish("one")
    publish("two")
    root = tmp_path / "models"
    assert "one, two" in refused(posted(root, content=plain()), 404, "model_not_found")
    assert posted(root, content=plain(), settings={"default_model": "two"}).json()["model"] == "two"
    assert posted(root, "/v1/models/one/classify", content=plain()).json()["model"] == "one"


def test_ready_is_503_without_a_model_and_alive_is_200(tmp_path):
    assert got(tmp_path, "/readyz").status_code == 503
    assert got(tmp_path, "/livez").status_code == 200
    refused(posted(tmp_path, content=plain()), 503, "not_ready")


def test_ready_is_200_with_a_model(repository):
    assert got(repository, "/readyz").status_code == 200
    assert got(repository, "/readyz", default_model="another", model_control="poll").status_code == 503


def test_a_shutdown_answers_what_is_in_flight_and_refuses_the_rest(repository):
    async def story(client: Client, engine: Engine) -> None:
        upload = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield plain("green")[:20]
            await upload.wait()
            yield plain("green")[20:]

        admitted = asyncio.ensure_future(client.post("/v1/classify", content=slow()))
        while not engine.in_flight:
            await asyncio.sleep(0)
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0)
        assert (await client.get("/readyz")).status_code == 503
        refused(await client.post("/v1/classify", content=plain()), 503, "draining")
        assert not draining.done()
        upload.set()
        assert top(await admitted) == ["green"]
        await draining

    told(repository, story)


def test_a_caller_who_leaves_is_forgotten(repository):
    async def story(client: Client, engine: Engine) -> None:
        tasks = [asyncio.ensure_future(client.post("/v1/classify", content=encoded(noise(800)))) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert top(await client.post("/v1/classify", content=plain("blue"))) == ["blue"]
        assert engine.in_flight == 0
        assert all(counts.waiting == 0 for counts in engine.statistics().values())

    told(repository, story)


def test_the_document_describes_bodies_and_answers(repository):
    document = got(repository, "/openapi.json").json()
    operation = document["paths"]["/v1/models/{name}/classify"]["post"]
    assert set(operation["requestBody"]["content"]) >= {"image/*", "multipart/form-data", "application/json"}
    assert {"name", "top_k"} == {parameter["name"] for parameter in operation["parameters"]}
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Classification")
    assert operation["responses"]["429"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")
    assert got(repository, "/docs").status_code == 200


def test_an_answer_that_is_no_number_is_a_500_not_invalid_json(publish, tmp_path):
    publish(weights=1.5e36 * np.eye(3))  # finite for the golden noise, infinite for pure red
    refused(posted(tmp_path / "models", content=plain("red")), 500, "model_failed")
