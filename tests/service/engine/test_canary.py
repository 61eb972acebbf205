"""The judge of canaries: errors and latency beside the incumbent's, over a window, with enough requests."""

import pytest

from service.config import CanaryRules, make_split
from service.engine.canary import CanaryVerdict, Judge
from service.telemetry import VersionOutcome

RULES = CanaryRules(errors=0.05, latency=2.0, seconds=60.0, requests=50)
SPLIT = make_split("colours", {2: 0.9, 3: 0.1})


def looked(usual: VersionOutcome, canary: VersionOutcome, rules: CanaryRules = RULES) -> list[CanaryVerdict]:
    """What a judge says that had seen nothing before."""
    judge = Judge(rules)
    assert judge.look(0.0, {}, [SPLIT]) == []
    return judge.look(1.0, {("colours", 2): usual, ("colours", 3): canary}, [SPLIT])


def test_a_canary_that_does_as_well_stays():
    assert looked(VersionOutcome(900, 9, 9.0), VersionOutcome(100, 1, 1.0)) == []
    assert looked(VersionOutcome(900, 0, 9.0), VersionOutcome(100, 5, 1.8)) == []


def test_a_canary_that_fails_more_is_taken_out_even_where_the_incumbent_had_no_request():
    (verdict,) = looked(VersionOutcome(900, 9, 9.0), VersionOutcome(100, 7, 1.0))
    assert (verdict.model, verdict.version) == ("colours", 3)
    assert verdict.reason == "7.0% of 100 requests failed, of the incumbent 1.0% (version 2)"
    assert len(looked(VersionOutcome(), VersionOutcome(100, 100, 0.0))) == 1


def test_a_canary_that_is_slower_is_taken_out_once_both_have_enough_answers():
    (verdict,) = looked(VersionOutcome(900, 0, 9.0), VersionOutcome(100, 0, 2.5))
    assert verdict.reason == "answers took 25 ms, those of the incumbent 10 ms (version 2)"
    assert looked(VersionOutcome(40, 0, 0.4), VersionOutcome(100, 0, 2.5)) == []


def test_few_requests_prove_nothing():
    assert looked(VersionOutcome(900, 0, 9.0), VersionOutcome(49, 49, 0.0)) == []


def test_only_the_window_counts_and_nothing_from_before_the_split():
    judge = Judge(RULES)
    bad = {("colours", 2): VersionOutcome(900, 0, 9.0), ("colours", 3): VersionOutcome(100, 100, 0.0)}
    assert judge.look(0.0, bad, [SPLIT]) == []
    assert judge.look(30.0, bad, [SPLIT]) == []
    later = {("colours", 2): VersionOutcome(1800, 0, 18.0), ("colours", 3): VersionOutcome(200, 100, 1.0)}
    assert judge.look(60.0, later, [SPLIT]) == []
    worse = {("colours", 2): VersionOutcome(1800, 0, 18.0), ("colours", 3): VersionOutcome(260, 160, 1.0)}
    assert judge.look(125.0, worse, [SPLIT]) != []
    assert judge.look(200.0, worse, [SPLIT]) == []  # all of it is long ago
    assert judge.look(201.0, worse, [make_split("colours", {2: 0.5, 3: 0.5})]) == []


def test_with_a_split_from_the_start_the_first_requests_count():
    found = {("colours", 2): VersionOutcome(90, 0, 0.9), ("colours", 3): VersionOutcome(60, 60, 0.0)}
    assert len(Judge(RULES, [SPLIT]).look(5.0, found, [SPLIT])) == 1
    assert Judge(RULES).look(5.0, found, [SPLIT]) == []


def test_one_that_is_out_and_the_incumbent_are_not_judged():
    judge = Judge(RULES)
    out = SPLIT.without(3, "it was slow")
    judge.look(0.0, {}, [out])
    found = {("colours", 2): VersionOutcome(900, 900, 0.0), ("colours", 3): VersionOutcome(100, 100, 0.0)}
    assert judge.look(1.0, found, [out]) == []


@pytest.mark.parametrize(
    ("before", "since"), [(VersionOutcome(10, 1, 1.0), VersionOutcome(20, 2, 3.0)), (VersionOutcome(99, 9, 9.0), None)]
)
def test_counts_that_began_anew_count_from_nothing(before, since):
    now = VersionOutcome(30, 3, 4.0)
    assert now.since(before) == (since or now)
