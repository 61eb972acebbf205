"""What answers say, typed; and what is said of those that say something else."""

import json

import numpy as np
import pytest

from service.answers import ModelList
from service.client.errors import Rejected, UnexpectedAnswerError
from service.client.replies import check, classified, logits, read_answer
from service.client.talk import Reply

URL = "http://there/v1/classify"
TIMES = {"decode": 1.0, "queue": 0.1, "inference": 2.0, "total": 3.5}


def answer(*labels, **more):
    classes = [[{"label": label, "index": 3, "probability": 0.9}] for label in labels]
    said = {"model": "pets", "version": 2, "predictions": [{"classes": each} for each in classes], "timing_ms": TIMES}
    return Reply(URL, 200, {}, json.dumps(said | more).encode())


def test_answers_are_in_order_and_typed():
    first, second = classified(answer("cat", "dog", newer="field"), 2)
    assert (first.label, first.probability, first.model, first.version) == ("cat", 0.9, "pets", 2)
    assert (second.classes[0].index, second.timing_ms.total, second.adaptive) == (3, 3.5, False)
    assert classified(answer("cat", norm="adaptive"), 1)[0].adaptive
    assert classified(answer("cat", precision="int8"), 1)[0].precision == "int8"


@pytest.mark.parametrize("reply", [answer("cat"), answer(), answer("a", "b", predictions=[{"classes": []}] * 2)])
def test_another_number_of_answers_than_images_is_told(reply):
    with pytest.raises(UnexpectedAnswerError, match="answers for 2 images"):
        classified(reply, 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"models": 3}'])
def test_an_answer_of_something_else_is_told(body):
    with pytest.raises(UnexpectedAnswerError, match=f"{URL} answered, but not as .* Is the address right"):
        read_answer(Reply(URL, 200, {}, body), ModelList)


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (429, {"error": {"code": "queue_full", "message": "no room"}}, "queue_full", "answered 429: no room"),
        (400, {"error": "unexpected shape"}, "", "answered 400: unexpected shape"),
        (404, None, "", "answered 404: nothing more .*is the address right"),
        (401, {"error": {"code": "unauthorized", "message": "no key"}}, "unauthorized", "HARMONIC_API_KEY"),
    ],
)
def test_a_refusal_says_who_what_and_why(status, body, code, says):
    with pytest.raises(Rejected, match=says) as refusal:
        check(Reply(URL, status, {}, json.dumps(body).encode() if body else b""))
    assert (refusal.value.status, refusal.value.code) == (status, code)


def test_a_refusal_says_when_to_come_back():
    with pytest.raises(Rejected, match="ask again in 7 s"):
        check(Reply(URL, 503, {"retry-after": "7"}, b""))


def test_logits_are_rows_of_the_binary_part():
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    reply = Reply(URL, 200, {"inference-header-content-length": "4"}, b"head" + rows.tobytes())
    np.testing.assert_array_equal(logits(reply, 2), rows)


@pytest.mark.parametrize(("headers", "size"), [({}, 24), ({"inference-header-content-length": "0"}, 20)])
def test_an_answer_without_as_many_logits_is_told(headers, size):
    with pytest.raises(UnexpectedAnswerError, match="logits for 2 images"):
        logits(Reply(URL, 200, headers, b"\0" * size), 2)
