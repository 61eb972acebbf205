"""Splits: how they are written, which version a request gets, what happens when one of them cannot answer."""

from collections import Counter

import pytest

from service.config import Settings, Split, make_split, read_settings
from service.errors import RequestError, StartError

TENTH = make_split("colours", {2: 0.9, 3: 0.1})
BOTH = {2, 3}


def chosen(split: Split, number: int = 5000, answering: set[int] = BOTH) -> list[int | None]:
    return [split.version_for(f"request-{each}", answering) for each in range(number)]


def test_a_setting_names_each_model_once_with_shares_that_come_to_one():
    assert Settings(split="colours={2:0.9,3:0.1}").splits() == {"colours": TENTH}
    assert set(Settings(split="a={1:1}; b = { 1 : .5 , 2 : .5 }").splits()) == {"a", "b"}
    assert Settings().splits() == {}


@pytest.mark.parametrize(
    "text",
    ["", "colours", "colours={}", "colours={2:0.9}", "colours={2:0.9,3:0.2}", "colours={2:1,3:0}", "c={0:1}", "c={1:2}",
     "c={1:0.5,1:0.5}", "c={1:1};c={1:1}", "c={1:1};", "c={a:1}", "c={1:-1,2:2}", "c={1:nan}"],
)  # fmt: skip
def test_what_is_no_split_is_refused_and_stops_the_start(text):
    with pytest.raises(RequestError, match=r"split|shares"):
        Settings(split=text).splits() if text else make_split("c", {})
    if text:
        with pytest.raises(StartError):
            read_settings({"split": text})


def test_requests_are_shared_as_said_and_a_retry_gets_the_same_version():
    first = chosen(TENTH)
    assert chosen(TENTH) == first
    assert 400 < Counter(first)[3] < 600


def test_models_are_split_each_by_itself():
    assert chosen(TENTH) != chosen(make_split("other", {2: 0.9, 3: 0.1}))


def test_a_canary_that_grows_keeps_its_requests():
    more = chosen(make_split("colours", {2: 0.5, 3: 0.5}))
    assert all(now == 3 for before, now in zip(chosen(TENTH), more, strict=True) if before == 3)


def test_what_cannot_answer_leaves_its_share_to_the_incumbent():
    assert set(chosen(TENTH, answering={2})) == {2}
    assert set(chosen(TENTH, answering={3})) == {3}
    assert set(chosen(TENTH, answering=set())) == {None}
    out = TENTH.without(3, "it was slow")
    assert set(chosen(out)) == {2}
    assert out.in_force(BOTH) == {2: 1.0, 3: 0.0}
    assert TENTH.in_force(BOTH) == {2: 0.9, 3: 0.1}
    assert TENTH.in_force(set()) == {2: 0.0, 3: 0.0}
    assert (TENTH.incumbent(BOTH), TENTH.incumbent({3}), out.incumbent({3})) == (2, 3, None)
