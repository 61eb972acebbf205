"""`harmonic deploy ray`: the application on a cluster that is there, or on one of this machine alone, made for it."""

import logging
import signal
import threading
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve

from service.errors import StartError
from service.ray.application import build
from service.ray.order import RayOrder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to. address: of a cluster, as `ray.init` takes it; None for one of this machine, which lasts as long as
    the command. host, port: where proxies listen."""

    address: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    name: str = "harmonic"


def deploy_to(order: RayOrder, place: Place) -> None:
    """Deploy, and return; on a cluster of this machine serve until a signal ends it. Raises StartError, or what the
    repository raises, if it must not be."""
    application = build(order)
    if place.address is None:
        _alone(application, place)
        return
    _connect(address=place.address)
    _run(application, place)


def _alone(application: Any, place: Place) -> None:
    """A cluster of this machine. Its processes listen on every address; Ray lets in only who has its token."""
    _connect(address="local", include_dashboard=False)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    try:
        _run(application, place)
        log.info("running on http://%s:%d", place.host, place.port)
        told.wait()
        log.info("shutting down")
        serve.delete(place.name)
    finally:
        serve.shutdown()
        ray.shutdown()


def _connect(**where: Any) -> None:
    try:
        ray.init(log_to_driver=True, **where)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise StartError(f"there is no cluster at {where['address']}: {error}") from error


def _run(application: Any, place: Place) -> None:
    serve.start(
        proxy_location="EveryNode",
        http_options={"host": place.host, "port": place.port},
        logging_config={"enable_access_log": False},
    )
    try:
        serve.run(application, name=place.name, route_prefix="/")
    except RuntimeError as error:
        raise StartError(f"Ray Serve cannot deploy it: {error}") from error
