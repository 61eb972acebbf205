"""How many replicas there should be."""

from types import SimpleNamespace

import pytest

from service.ray.scaling import BUSY, WAITING, ImagesWaiting


def wanted(**by_replica: dict[str, float]) -> int:
    return ImagesWaiting(aim=16)(SimpleNamespace(aggregated_metrics=by_replica or None, policy_state={}))[0]


@pytest.mark.parametrize(
    ("waiting", "replicas"),
    [([0.0], 1), ([16.0], 1), ([17.0], 2), ([100.0, 28.0], 8), ([0.0, 0.0, 0.0], 1)],
)
def test_images_that_wait_ask_for_replicas(waiting: list[float], replicas: int) -> None:
    assert wanted(**{WAITING: dict(enumerate(waiting))}) == replicas


def test_replicas_that_cope_but_have_no_time_to_spare_stay() -> None:
    idle, busy = dict.fromkeys(range(3), 0.0), dict.fromkeys(range(3), 0.7)
    assert wanted(**{WAITING: idle, BUSY: busy}) == 3
    assert wanted(**{WAITING: idle, BUSY: dict.fromkeys(range(3), 0.2)}) == 1


def test_without_a_measurement_there_is_one() -> None:
    assert wanted() == 1
