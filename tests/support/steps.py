"""Steps of a load as they might have been measured."""

from service.load.figures import StepFigures, measure
from service.load.plan import OpenPace
from service.load.samples import Recorder
from service.load.target import Insight
from service.load.team import Outcome


def step(
    rate: float = 100.0, latency_ms: float = 10.0, failed: int = 0, cpu: float = 0.1, cut: bool = False
) -> StepFigures:
    """Ten seconds at a rate: some requests, all as slow as each other, and failures among them."""
    recorder = Recorder()
    for number in range(100):
        moment = 10 + number / 10
        recorder.add(moment, moment, moment + latency_ms / 1000, 429 if number < failed else 200)
    outcome = Outcome(recorder.samples(), 10.0, 20.0, (cpu,), ("no label",) if failed else (), 3 * cut, cut=cut)
    return measure(OpenPace(rate), outcome, Insight({1: 5, 4: 20}, 3.4, 1.5, 2.5))
