"""GET /v1/activity: counts since the start, small enough to be asked for every second."""

import time

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.engine import Engine
from service.telemetry import Metrics


class Latency(BaseModel):
    """Answered requests by their seconds from head to answer: `counts[i]` took at most `bounds[i]`; the last bound
    (null) is infinity. Counts add up from the left."""

    bounds: list[float | None]
    counts: list[int]


class VersionActivity(BaseModel):
    """What a version has done since the start."""

    model: str
    version: int
    waiting: int = Field(description="Images admitted and not yet in a model call.")
    calls: int = Field(description="Model calls.")
    images: int = Field(description="Images that went through the model.")
    rejected: int
    expired: int
    cancelled: int
    latency: Latency


class Activity(BaseModel):
    """What the service has done since the start; two of these give a rate."""

    clock_s: float = Field(description="Seconds on a clock that never goes back; only differences mean anything.")
    in_flight: int = Field(description="Requests let in and not yet answered.")
    versions: list[VersionActivity]


def router(engine: Engine, metrics: Metrics) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["service"])

    @routes.get("/v1/activity")
    async def activity() -> Activity:
        """Counts since the start of every ready version: images, model calls, refusals, latency."""
        await engine.gather()
        latencies = metrics.latencies()
        return Activity(
            clock_s=time.monotonic(),
            in_flight=engine.in_flight,
            versions=[
                VersionActivity(
                    model=model,
                    version=version,
                    waiting=counts.waiting,
                    calls=counts.calls,
                    images=counts.images,
                    rejected=counts.rejected,
                    expired=counts.expired,
                    cancelled=counts.cancelled,
                    latency=_latency(latencies.get((model, str(version)), [])),
                )
                for (model, version), counts in engine.statistics().items()
            ],
        )

    return routes


def _latency(buckets: list[tuple[float, int]]) -> Latency:
    bounds = [None if bound == float("inf") else bound for bound, _ in buckets]
    return Latency(bounds=bounds, counts=[count for _, count in buckets])
