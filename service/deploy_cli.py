"""`harmonic deploy`. Nothing heavy is imported before it runs."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Cluster(str, Enum):  # noqa: UP042 - what Typer shows is the value
    """What can be deployed to."""

    ray = "ray"


def deploy(
    cluster: Annotated[Cluster, typer.Argument(help="What to deploy to: ray.")],
    repository: Annotated[Path, typer.Option(help="Folder of the models, at the same path on every machine.")] = Path(
        "models"
    ),
    replicas: Annotated[
        str, typer.Option(help="How many: auto, a number, or least and most as 2-8; by the images that wait.")
    ] = "auto",
    cpus: Annotated[float, typer.Option(help="CPUs of each replica, and its threads.")] = 1.0,
    gpus: Annotated[float, typer.Option(help="GPUs of each replica; 0.25 is a quarter of one.")] = 0.0,
    images_waiting: Annotated[float, typer.Option(help="Images waiting in each replica that are aimed at.")] = 16.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, like max_batch=16; may be given again.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A cluster that is there: auto, or HOST:PORT.", show_default="one of this machine"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address on which Ray's proxies listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on which Ray's proxies listen.")] = 8000,
    name: Annotated[str, typer.Option(help="Name of the application.")] = "harmonic",
    haproxy: Annotated[
        bool, typer.Option("--haproxy", help="HAProxy instead of Ray's own proxy; without --address.")
    ] = False,
) -> None:
    """Serve the models on a cluster of machines, by Ray Serve.

    Try it:  harmonic deploy ray --repository models --replicas 2

    On a cluster of this machine it serves until a signal ends it; with --address it deploys, and returns.
    """
    from service.ray.haproxy import set_environment

    set_environment(haproxy, address)
    try:
        from ray import serve  # noqa: F401 - whether it is there
    except ImportError as error:
        from service.errors import StartError

        raise StartError(
            f"`harmonic deploy {cluster.value}` needs Ray Serve ({error}). Install the extra that brings it: "
            "pip install 'harmonic-inference[serve,ray,cpu]' (or gpu instead of cpu)."
        ) from None
    from service.ray.deploy import Place, deploy_to
    from service.ray.order import RayOrder, read_words
    from service.telemetry import logs

    logs.configure("info")
    order = RayOrder(
        repository=repository,
        replicas=replicas,
        cpus=cpus,
        gpus=gpus,
        images_waiting=images_waiting,
        settings={"host": host, "port": port, **read_words(settings or [])},
    )
    deploy_to(order, Place(address, host, port, name))
