"""What Ray Serve is told of the application; no cluster."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from harmonic.errors import HarmonicError
from service.ray.order import RayOrder, most_ongoing

pytest.importorskip("ray", reason="the extra ray is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Ray's own modules, while they are loaded
    from service.ray.application import COORDINATOR, REPLICAS, build


def deployments(root: Path, **more: Any) -> dict[str, Any]:
    """By their names, as Serve would start them."""
    application = build(RayOrder(repository=root, **more))
    bound = application._bound_deployment
    return {one.name: one for one in (bound, bound.init_args[1]._bound_deployment)}


def test_replicas_take_more_than_their_queues_hold_and_end_after_their_requests(repository: Path) -> None:
    found = deployments(repository, replicas=3, cpus=2, gpus=0.5, settings={"grace_seconds": 100})
    replicas, coordinator = found[REPLICAS], found[COORDINATOR]
    assert replicas.num_replicas == 3
    assert replicas.max_ongoing_requests == most_ongoing(replicas.init_args[0])
    assert replicas._deployment_config.graceful_shutdown_timeout_s > 100
    assert replicas.ray_actor_options["num_cpus"] == 2
    assert replicas.ray_actor_options["num_gpus"] == 0.5
    assert coordinator.num_replicas == 1
    assert coordinator.ray_actor_options["num_cpus"] == 0


def test_between_bounds_replicas_are_as_many_as_images_waiting_ask_for(repository: Path) -> None:
    scaling = deployments(repository, replicas="2-5", images_waiting=7)[REPLICAS]._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 5)
    policy = scaling.policy.get_policy()(**scaling.policy.policy_kwargs)
    measured = type("Measured", (), {"aggregated_metrics": {"images_waiting": {"a": 30}}, "policy_state": {}})
    assert policy(measured)[0] == 5


def test_what_cannot_serve_is_refused_before_there_is_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(HarmonicError, match="Every machine"):
        build(RayOrder(repository=tmp_path / "nowhere"))
