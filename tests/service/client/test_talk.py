"""One request until its answer, without a socket and with a clock of the test's own."""

import pytest

from service.client.errors import OutOfPatience, Unreachable
from service.client.retries import Budget, Retries
from service.client.talk import Lost, Manners, Message, Pause, Reply, Send, retry_after, talk

LOST, OK, BUSY = Lost("gone"), Reply("u", 200), Reply("u", 429, {"retry-after": "2"})


class Told:
    """What a talk did: the seconds of every attempt and of every pause, its reply or its error."""

    def __init__(self, outcomes, patience_s=60.0, takes_s=0.0, spent_s=0.0, **retries):
        self.sent, self.pauses, self.reply, self.error = [], [], None, None
        now = 100.0
        policy = Retries(**retries)
        manners = Manners(policy, Budget(policy), lambda: now, lambda: 1.0)
        steps, outcome, outcomes = talk(self.write, patience_s, manners, spent_s), None, iter(outcomes)
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Pause):
                    now += step.seconds
                    self.pauses.append(round(step.seconds, 3))
                    outcome = None
                else:
                    assert isinstance(step, Send)
                    outcome = next(outcomes)
                    now += step.seconds if isinstance(outcome, Lost) and outcome.late else takes_s
        except StopIteration as end:
            self.reply = end.value
        except (Unreachable, OutOfPatience) as error:
            self.error = error

    def write(self, seconds):
        self.sent.append(round(seconds, 3))
        return Message("POST", "http://there/v1/classify?top_k=5")


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 408, 413, 415, 422, 301, 308, 500, 501, 504])
def test_what_stays_is_asked_once(status):
    told = Told([Reply("u", status)])
    assert told.reply.status == status
    assert (len(told.sent), told.pauses) == (1, [])


def test_what_went_wrong_in_the_service_itself_stays():
    told = Told([Reply("u", 500, body=b'{"error":{"code":"model_failed","message":"it did"}}')])
    assert (told.reply.status, len(told.sent)) == (500, 1)


FOREIGN = Reply("u", 500, body=b"Internal Server Error")  # of a balancer that lost whoever was to answer


@pytest.mark.parametrize(
    "passing", [LOST, Reply("u", 429), Reply("u", 502), Reply("u", 503), FOREIGN, Lost("slow", late=True)]
)
def test_what_passes_is_asked_again_until_there_is_an_answer(passing):
    told = Told([passing, passing, OK], attempt_s=5.0)
    assert told.reply is OK
    assert told.pauses == [0.1, 0.2]


def test_the_service_is_given_the_time_that_it_asks_for():
    assert Told([BUSY, BUSY, OK]).pauses == [2.1, 2.2]


def test_a_time_beyond_the_patience_ends_it_with_the_refusal_at_once():
    told = Told([Reply("u", 503, {"retry-after": "30"})], patience_s=20)
    assert (told.reply.status, told.pauses) == (503, [])


def test_every_attempt_is_told_how_long_its_answer_is_of_use():
    assert Told([LOST, LOST, OK], patience_s=10, takes_s=1.0).sent == [10, 8.9, 7.7]
    assert Told([Lost("", late=True), OK], patience_s=60, attempt_s=20).sent == [20, 20]


def test_patience_that_ends_within_an_attempt_says_so():
    told = Told([LOST, Lost("", late=True)], patience_s=3)
    assert isinstance(told.error, OutOfPatience)
    assert "http://there/v1/classify gave no answer within 3 s, asked 2 times." in str(told.error)


def test_time_that_was_spent_before_counts():
    assert Told([LOST, OK], patience_s=10, spent_s=4.0).sent == [6, 5.9]


def test_nobody_there_is_told_with_the_reason():
    told = Told([LOST] * 3, most=2)
    assert isinstance(told.error, Unreachable)
    assert "http://there/v1/classify does not answer (gone), asked 3 times. Is the service running?" in str(told.error)


def test_what_will_be_the_same_next_time_is_not_repeated():
    told = Told([Lost("no such certificate", lasting=True)])
    assert isinstance(told.error, Unreachable)
    assert told.pauses == []


def test_no_repetitions_at_all_can_be_had():
    assert Told([BUSY], most=0).reply is BUSY


def test_a_spent_budget_makes_repetitions_wait_and_patience_bounds_that():
    told = Told([LOST] * 4, patience_s=9, burst=1, per_second=0.2, first_s=0.001)
    assert told.pauses == [0.001, 4.999]
    assert isinstance(told.error, Unreachable)


@pytest.mark.parametrize(
    ("said", "seconds"), [("0", 0), ("7", 7), ("-1", None), ("1.5", None), ("soon", None), ("", None), ("9" * 9, None)]
)
def test_only_whole_seconds_are_followed(said, seconds):
    assert retry_after(Reply("u", 429, {"retry-after": said})) == seconds
    assert retry_after(Reply("u", 429)) is None
