"""What is to be deployed, before there is a cluster."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.errors import StartError
from service.ray.order import AUTO, RayOrder, most_ongoing, read_words, shutdown_seconds


def order(root: Path, **more: Any) -> RayOrder:
    return RayOrder(repository=root, **more)


@pytest.mark.parametrize(
    ("said", "bounds"), [("auto", AUTO), (3, (3, 3)), ("3", (3, 3)), ("2-8", (2, 8)), ("4-4", (4, 4))]
)
def test_replicas_are_a_number_or_bounds(tmp_path: Path, said: int | str, bounds: tuple[int, int]) -> None:
    assert order(tmp_path, replicas=said).bounds() == bounds


@pytest.mark.parametrize("said", [0, "0", "-1", "8-2", "many", "2-", ""])
def test_other_replicas_are_refused(tmp_path: Path, said: int | str) -> None:
    with pytest.raises(StartError, match="it wants auto, a number, or least and most"):
        order(tmp_path, replicas=said).bounds()


def test_a_misspelt_word_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="replica_count"):
        order(tmp_path, replica_count=2)
    with pytest.raises(ValidationError, match="cpus"):
        order(tmp_path, cpus=0)


def test_a_replica_has_threads_for_its_cpus_and_one_process(tmp_path: Path) -> None:
    settings = order(tmp_path, cpus=3.5).replica_settings()
    assert (settings.threads, settings.decode_threads, settings.device) == (3, 3, "cpu")
    assert settings.processes() == 1
    assert not settings.has_owner()
    assert order(tmp_path, cpus=0.5).replica_settings().threads == 1
    assert order(tmp_path, cpus=4, settings={"threads": 2}).replica_settings().threads == 2
    assert settings.repository.is_absolute()


def test_a_gpu_is_used_if_and_only_if_it_was_asked_for(tmp_path: Path) -> None:
    assert order(tmp_path, gpus=0.25).replica_settings().device == "cuda"
    assert order(tmp_path, gpus=1, settings={"device": "cuda:0"}).replica_settings().device == "cuda:0"
    with pytest.raises(StartError, match="--gpus"):
        order(tmp_path, settings={"device": "cuda"}).replica_settings()
    with pytest.raises(StartError, match="leave one of them out"):
        order(tmp_path, gpus=1, settings={"device": "cpu"}).replica_settings()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("workers", "2"), ("owner", "always"), ("admin_port", 9000), ("repository", "elsewhere")],
)
def test_what_a_replica_cannot_have_is_refused_by_name(tmp_path: Path, setting: str, value: object) -> None:
    with pytest.raises(StartError, match=setting if setting != "repository" else "beside the settings"):
        order(tmp_path, settings={setting: value}).replica_settings()


def test_tls_belongs_in_front(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Ray's proxy speaks HTTP"):
        order(tmp_path, settings={"tls_cert": "cert.pem", "tls_key": "key.pem"}).replica_settings()


def test_a_replica_is_given_more_requests_than_its_queues_hold(repository: Path) -> None:
    settings = order(repository, settings={"max_queue": 100, "max_batch": 10, "instances": 2}).replica_settings()
    assert most_ongoing(settings) > 100 + 2 * 10
    more = order(repository, settings={"max_queue": 900, "max_batch": 10, "instances": 2}).replica_settings()
    assert most_ongoing(more) - most_ongoing(settings) == 800


def test_a_repository_that_is_not_there_is_said_to_be_wanted_everywhere(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Every machine"):
        most_ongoing(order(tmp_path / "nowhere").replica_settings())


def test_a_replica_may_end_later_than_its_requests(tmp_path: Path) -> None:
    settings = order(tmp_path, settings={"drain_seconds": 7, "grace_seconds": 40}).replica_settings()
    assert shutdown_seconds(settings) > 47


def test_settings_of_a_command_line() -> None:
    assert read_words(["max_batch=16", 'policies={"cats": {"max_size": 2}}', "host=a=b"]) == {
        "max_batch": "16",
        "policies": {"cats": {"max_size": 2}},
        "host": "a=b",
    }
    for wrong in ("max_batch", "max_bach=16"):
        with pytest.raises(StartError, match="NAME=VALUE"):
            read_words([wrong])
    with pytest.raises(StartError, match="wants JSON"):
        read_words(["policies={cats}"])
