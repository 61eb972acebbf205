"""A load from its first request to its last: asks the service, makes the requests, runs steps, measures them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from service.load.answers import fault
from service.load.bodies import Body, write_requests
from service.load.figures import StepFigures, measure
from service.load.peak import Peak, find_peak
from service.load.pictures import Picture
from service.load.plan import ClosedPace, LoadError, LoadPlan, OpenPace, Pace, read_address
from service.load.samples import Samples
from service.load.target import Target, insight, target_at
from service.load.team import Team, Watch

_PROBED = 8  # images that have to be answered well before any load
_PEAK_CALLERS, _PEAK_SECONDS = 32, 2.0  # of the closed load from which a search begins
_CONFIRMED = 2  # times as long


@dataclass(frozen=True)
class Order:
    """What is asked of a load. path of the URL: where requests go; without one our own routes, by the body."""

    url: str
    pictures: Sequence[Picture]
    body: Body = Body.raw
    model: str | None = None
    images_per_request: int = 1
    seconds: float | None = 10.0
    warm_up_s: float = 1.0
    requests: int | None = None
    timeout_s: float = 10.0
    connections: int = 256
    processes: int = 1
    seed: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


Begin = Callable[[Pace, float | None], Watch]  # is told of every step, and gives what watches it


class Trial:
    """A team with a plan and a service to ask."""

    def __init__(self, order: Order, plan: LoadPlan, team: Team, service: Target, begin: Begin) -> None:
        self._order, self._plan, self._team, self._service, self._begin = order, plan, team, service, begin

    @property
    def plan(self) -> LoadPlan:
        """Where requests go, and which."""
        return self._plan

    def probe(self) -> None:
        """One request after the other, each answer read. Raises LoadError if one is not as it should be."""
        some = min(len(self._plan.requests), _PROBED)
        plan = replace(self._plan, pace=ClosedPace(1), seconds=None, warm_up_s=0.0, most_requests=some, check_every=1)
        outcome = self._team.run(plan, _nothing)
        found = measure(plan.pace, outcome, None)
        if found.failed or not found.answered:
            url = self._plan.address.origin + self._plan.address.path
            why = found.faults[0] if found.faults else ", ".join(found.failures) or "nothing came"
            raise LoadError(f"{url} does not answer as it should: {why}. Is the service running, and the URL right?")

    def step(self, pace: Pace, seconds: float | None = None) -> StepFigures:
        """Run at one pace, and measure it with what the service counts meanwhile."""
        plan = replace(self._plan, pace=pace, seconds=seconds or self._plan.seconds)
        before = self._service.counts()
        outcome = self._team.run(plan, self._begin(pace, plan.seconds))
        return measure(pace, outcome, insight(before, self._service.counts()))

    def peak(self, slo_p99_ms: float, rate: float | None) -> Peak:
        """Search from a rate, or from most of what 32 callers get."""
        seconds = self._plan.seconds
        if seconds is None:
            raise LoadError("--find-peak needs a time for each rate: --duration.")
        first = rate or 0.8 * self.step(ClosedPace(_PEAK_CALLERS), _PEAK_SECONDS).throughput
        if not first:
            raise LoadError("the service answered nothing, so there is no peak to be found.")
        return find_peak(
            lambda each, again: self.step(OpenPace(each), seconds * (_CONFIRMED if again else 1)), first, slo_p99_ms
        )


@contextmanager
def trial(order: Order, begin: Begin) -> Iterator[Trial]:
    """A load that is ready to run: the service has answered a first few requests well."""
    given = read_address(order.url)
    with target_at(given, order.headers) as service:
        place = service.place(order.body, order.model)
        requests = write_requests(
            place,
            order.pictures,
            order.body,
            each=order.images_per_request,
            wanted=service.wanted(place, order.body),
            headers=order.headers,
        )
        plan = LoadPlan(
            address=place,
            requests=requests,
            pace=ClosedPace(1),
            seconds=order.seconds,
            warm_up_s=order.warm_up_s,
            most_requests=order.requests,
            timeout_s=order.timeout_s,
            connections=order.connections,
            seed=order.seed,
        )
        with Team(order.processes, fault) as team:
            made = Trial(order, plan, team, service, begin)
            made.probe()
            yield made


def _nothing(_: Samples) -> None:
    pass
