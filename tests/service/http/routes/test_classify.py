"""To classify: every route to a model, its answers, and its refusals."""

import asyncio

import numpy as np
import pytest

from service.answers import Classification
from tests.support.app import got, posted, refused, serving, top
from tests.support.colours import publish_colours
from tests.support.images import encoded, noise, plain


@pytest.mark.parametrize(
    "url", ["/v1/classify", "/v1/models/colours/classify", "/v1/models/colours/versions/1/classify"]
)
async def test_every_route_classifies(repository, url):
    assert top(await posted(repository, url, content=plain("green"))) == ["green"]


async def test_an_answer_is_what_the_document_says(repository):
    response = await posted(repository, "/v1/classify?top_k=2", content=encoded(noise()))
    answer = Classification.model_validate(response.json(), extra="forbid")
    assert (answer.model, answer.version, len(answer.predictions[0].classes)) == ("colours", 1, 2)
    assert set(response.json()["timing_ms"]) == {"decode", "queue", "inference", "total"}
    assert answer.timing_ms.total >= answer.timing_ms.inference


async def test_probabilities_are_a_distribution_likeliest_first(repository):
    classes = (await posted(repository, "/v1/classify?top_k=99", content=encoded(noise()))).json()["predictions"][0][
        "classes"
    ]
    probabilities = [entry["probability"] for entry in classes]
    assert len(classes) == 3
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities == sorted(probabilities, reverse=True)


@pytest.mark.parametrize("top_k", ["0", "-1", "x", "1.5", "", "9" * 30, "\u0661"])
async def test_an_impossible_top_k_is_refused(repository, top_k):
    refused(await posted(repository, "/v1/classify", params={"top_k": top_k}, content=plain()), 400, "bad_request")


@pytest.mark.parametrize("timeout_ms", ["0", "-1", "x", "", "0.5"])
async def test_an_impossible_timeout_is_refused(repository, timeout_ms):
    message = refused(
        await posted(repository, "/v1/classify", params={"timeout_ms": timeout_ms}, content=plain()), 400, "bad_request"
    )
    assert "timeout_ms" in message


async def test_a_caller_may_have_less_patience_than_the_model(repository):
    """The window keeps the image waiting for company that does not come."""
    settings = {"window_ms": 60_000, "max_batch": 2}
    late = await posted(repository, "/v1/classify?timeout_ms=50", settings, content=plain())
    assert "answer" in refused(late, 504, "deadline_exceeded")
    in_time = await posted(repository, "/v1/classify?top_k=1&timeout_ms=60000", content=plain("green"))
    assert top(in_time) == ["green"]


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
async def test_what_is_not_there_is_a_404(repository, url, code):
    refused(await posted(repository, url, content=plain()), 404, code)


async def test_another_method_is_a_405(repository):
    refused(await got(repository, "/v1/classify"), 405, "method_not_allowed")


async def test_the_bad_image_of_several_is_named(repository):
    message = refused(await posted(repository, files=[("image", plain()), ("image", b"xx")]), 415, "unsupported_image")
    assert message.startswith("image 2 of 2")


async def test_too_many_pixels_are_refused(repository):
    refused(
        await posted(repository, content=plain(size=(101, 100)), settings={"image_pixels": 10_000}),
        413,
        "image_too_large",
    )


async def test_a_flood_is_refused_or_answered_and_the_next_request_is_served(repository):
    async with serving(repository, max_queue=2, max_batch=2) as (client, _):
        data = encoded(noise(512))
        answers = await asyncio.gather(*(client.post("/v1/classify", content=data) for _ in range(60)))
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 429}
        busy = next(answer for answer in answers if answer.status_code == 429)
        refused(busy, 429, "queue_full")
        assert int(busy.headers["Retry-After"]) >= 1
        assert top(await client.post("/v1/classify", content=plain("red"))) == ["red"]


async def test_a_deadline_that_passes_is_a_504(repository):
    refused(
        await posted(repository, content=encoded(noise(1500)), settings={"deadline_ms": 0.01}), 504, "deadline_exceeded"
    )


async def test_company_does_not_change_an_answer(repository):
    async with serving(repository) as (client, _):
        bodies = [encoded(noise(seed=seed)) for seed in range(24)]
        alone = [(await client.post("/v1/classify", content=body)).json()["predictions"] for body in bodies]
        together = await asyncio.gather(*(client.post("/v1/classify", content=body) for body in bodies))
        for one, other in zip(alone, together, strict=True):
            for first, second in zip(one[0]["classes"], other.json()["predictions"][0]["classes"], strict=True):
                assert first["label"] == second["label"]
                assert first["probability"] == pytest.approx(second["probability"], abs=1e-5)


async def test_the_newest_ready_version_answers_and_the_older_stays_at_hand(publish, tmp_path):
    publish()
    publish()
    publish(golden_shift=1.0)
    root = tmp_path / "models"
    assert (await posted(root, content=plain())).json()["version"] == 2
    assert (await posted(root, "/v1/models/colours/versions/1/classify", content=plain())).json()["version"] == 1
    refused(await posted(root, "/v1/models/colours/versions/3/classify", content=plain()), 503, "not_ready")


async def test_several_models_want_a_default(publish, tmp_path):
    publish("one")
    publish("two")
    root = tmp_path / "models"
    assert "one, two" in refused(await posted(root, content=plain()), 404, "model_not_found")
    assert (await posted(root, content=plain(), settings={"default_model": "two"})).json()["model"] == "two"
    assert (await posted(root, "/v1/models/one/classify", content=plain())).json()["model"] == "one"


async def test_an_answer_that_is_no_number_is_a_500_not_invalid_json(publish, tmp_path):
    publish(weights=1.5e36 * np.eye(3))  # finite for the golden noise, infinite for pure red
    refused(await posted(tmp_path / "models", content=plain("red")), 500, "model_failed")


async def test_where_the_model_can_tell_every_answer_says_whether_it_is_certain(tmp_path):
    publish_colours(tmp_path, certainty={"probability": 0.9, "precision": 0.95, "at_least": 0.9, "images": 40})
    async with serving(tmp_path) as (client, _):
        answers = [await client.post("/v1/classify", content=body) for body in (plain("green"), encoded(noise()))]
        detail = (await client.get("/v1/models/colours")).json()["versions"][0]
    assert [answer.json()["predictions"][0]["certain"] for answer in answers] == [True, False]
    assert detail["certainty"] == {"probability": 0.9, "precision": 0.95, "at_least": 0.9, "images": 40}


async def test_where_it_cannot_none_says_so(repository):
    assert "certain" not in (await posted(repository, "/v1/classify", content=plain("green"))).json()["predictions"][0]
