"""The application for Ray Serve: replicas of the service, and their coordinator. The one module that knows how Ray
Serve wants to be spoken to.

`build` is what a file for `serve deploy` names: `import_path: service.ray.application:build`.
"""

from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, BackpressureConfig
from ray.serve.exceptions import RayServeException

from service.config import Settings
from service.http import remark, share_the_interpreter
from service.ray.coordinator import Coordinator
from service.ray.order import RayOrder, most_ongoing, shutdown_seconds
from service.ray.replica import Replica
from service.telemetry import logs

REPLICAS, COORDINATOR = "replicas", "coordinator"
_LOST = (RayError, RayServeException)
_HEALTH_SECONDS = 5.0  # from one look at a replica to the next, and how long it may take to answer
_QUIET = {"enable_access_log": False}  # ours is a setting, and names routes alone
# The service's loop never computes, so it needs no thread of its own beside Ray's: each request is spared two changes.
_ONE_LOOP = {"RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0"}
_WAITS = 100_000  # calls of the coordinator at once, most of which wait for something to happen


class Deployed:
    """A replica as Ray Serve calls it: by these methods' names. All are coroutines: what is none might be called in
    another thread than the engine's."""

    def __init__(self, settings: Settings, coordinator: Any) -> None:
        logs.configure(settings.log_level, settings.log_format)
        share_the_interpreter()
        self._replica = Replica(settings, coordinator, serve.get_replica_context().replica_id.unique_id, _LOST)

    async def __serve_build_asgi_app__(self) -> Any:
        """The app, once its models are loaded."""
        return (await self._replica.start()).app

    async def check_health(self) -> None:
        """Raise if this process has to be replaced."""
        self._replica.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """How much there is to do here."""
        return self._replica.measure()


class DeployedCoordinator(Coordinator):
    """The coordinator as Ray Serve starts it."""

    def __init__(self, settings: Settings) -> None:
        logs.configure(settings.log_level, settings.log_format)
        remark(settings)
        super().__init__(settings)


def build(args: RayOrder) -> Any:
    """The application. Raises StartError, or what the repository raises, for what cannot serve."""
    settings = args.replica_settings()
    least, most = args.bounds()
    ongoing = most_ongoing(settings)
    options: dict[str, Any] = {"num_replicas": least}
    if least != most:
        options = {"autoscaling_config": _scaling(least, most, args.images_waiting)}
    replicas = serve.deployment(
        serve.ingress()(Deployed),
        name=REPLICAS,
        ray_actor_options={"num_cpus": args.cpus, "num_gpus": args.gpus, "runtime_env": {"env_vars": _ONE_LOOP}},
        max_ongoing_requests=ongoing,
        max_queued_requests=ongoing,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        health_check_period_s=_HEALTH_SECONDS,
        health_check_timeout_s=_HEALTH_SECONDS * 2,
        graceful_shutdown_timeout_s=shutdown_seconds(settings),
        logging_config=_QUIET,
        **options,
    )
    coordinator = serve.deployment(
        DeployedCoordinator,
        name=COORDINATOR,
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=_WAITS,
        logging_config=_QUIET,
        health_check_period_s=_HEALTH_SECONDS,
        health_check_timeout_s=_HEALTH_SECONDS * 2,
    )
    return replicas.bind(settings, coordinator.bind(settings))


def _scaling(least: int, most: int, aim: float) -> AutoscalingConfig:
    """More replicas soon after images wait, fewer long after none do."""
    return AutoscalingConfig(
        min_replicas=least,
        max_replicas=most,
        upscale_delay_s=5.0,
        downscale_delay_s=300.0,
        look_back_period_s=15.0,
        policy=AutoscalingPolicy(policy_function="service.ray.scaling:ImagesWaiting", policy_kwargs={"aim": aim}),
    )
