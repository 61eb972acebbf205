"""Outcomes of versions, read from the metrics of one process or several."""

from prometheus_client import CollectorRegistry

from service.telemetry import Answered, Metrics, VersionOutcome, add_up, version_outcomes


def measured() -> Metrics:
    metrics = Metrics(CollectorRegistry())
    for status, number in ((200, 3), (400, 5), (500, 1), (504, 1), (499, 7)):
        for _ in range(number):
            metrics.count("colours", "1", status)
    for _ in range(3):
        metrics.version("colours", 1).observe_request(Answered("colours", 1, 1, 1, 0, 0, 0, total_s=0.5))
    metrics.count("", "", 404)
    return metrics


def test_callers_faults_and_callers_who_left_are_no_failures():
    found = version_outcomes(measured().here())
    assert found == {("colours", 1): VersionOutcome(5, 2, 1.5)}
    assert (found["colours", 1].failed_share, found["colours", 1].mean_s) == (0.4, 0.5)


def test_those_of_several_processes_add_up():
    assert version_outcomes(add_up((measured().here(), measured().here()))) == {
        ("colours", 1): VersionOutcome(10, 4, 3.0)
    }
