"""What each of several processes gets: together no more than the operator's numbers."""

from pathlib import Path

import pytest

from service.batching import BatchPolicy
from service.config import Settings, excess, make, read_settings, share_of
from service.errors import StartError
from service.runtime import usable_cpus

MIB = 2**20


def test_what_all_requests_may_take_is_shared_and_what_one_may_bring_is_not() -> None:
    settings = Settings(connections=100, buffered_bytes=512 * MIB, decoded_bytes=1024 * MIB, decode_threads=8)
    share = share_of(settings, 4)
    assert (share.connections, share.decode_threads) == (25, 2)
    assert (share.buffered_bytes, share.decoded_bytes) == (128 * MIB, 256 * MIB)
    assert share.limits().body_bytes == settings.limits().body_bytes
    assert share.threads == max(1, usable_cpus() // 4)
    assert share_of(Settings(threads=3), 4).threads == 3
    assert share_of(Settings(slot_bytes=64 * MIB, owner="always"), 4).slot_bytes == 16 * MIB
    assert share_of(Settings(slot_bytes=64 * MIB, owners=2), 4).slot_bytes == 8 * MIB
    assert excess(settings, 4) == ""


def test_each_has_room_for_one_largest_body_and_says_what_that_takes() -> None:
    settings = Settings(body_bytes=32 * MIB, buffered_bytes=64 * MIB)
    share = share_of(settings, 16)
    assert share.buffered_bytes * 7 // 8 >= settings.body_bytes
    assert f"{16 * share.buffered_bytes:,}" in excess(settings, 16)
    assert share_of(settings, 1).buffered_bytes == 64 * MIB


def test_keys_are_read_once_for_all(tmp_path: Path) -> None:
    _, key = make("ci", ["inference"])
    path = tmp_path / "keys.toml"
    path.write_text(f'[[keys]]\nname = "ci"\nsha256 = "{key.sha256}"\n')
    share = share_of(Settings(keys_file=path), 2)
    path.unlink()
    assert share.keyring().kept() == (key,)
    assert share_of(Settings(), 2).keys is None


def test_the_settings_of_a_share_travel_as_json() -> None:
    _, key = make("ci", ["inference"])
    share = share_of(Settings(keys=(key,), policies={"cats": {"max_size": 4}}, tls_cert="a.pem", tls_key="b.pem"), 2)
    assert Settings(**share.model_dump(mode="json")) == share


def test_a_queue_is_shared_and_holds_a_whole_batch() -> None:
    assert BatchPolicy(max_size=32, max_queue=256).shared_by(4).max_queue == 64
    assert BatchPolicy(max_size=32, max_queue=256).shared_by(16).max_queue == 32


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({}, 1),
        ({"workers": "3"}, 3),
        ({"workers": "auto", "device": "cuda"}, max(1, min(usable_cpus() - 1, 64))),
        ({"workers": "auto", "device": "cuda:0,cuda:1"}, max(1, min(usable_cpus() - 2, 64))),
        ({"workers": "auto", "device": "cuda", "owner": "never"}, 1),
    ],
)
def test_how_many_processes_serve(settings: dict[str, str], number: int) -> None:
    assert Settings(**settings).processes() == number


@pytest.mark.parametrize(
    ("settings", "owned"),
    [
        ({"workers": "4", "device": "cuda"}, True),
        ({"workers": "4", "device": "cuda:0,cuda:1"}, True),
        ({"workers": "4", "device": "cpu"}, False),
        ({"workers": "1", "device": "cuda"}, False),
        ({"workers": "4", "device": "cuda", "owner": "never"}, False),
        ({"workers": "1", "device": "cpu", "owner": "always"}, True),
        ({"workers": "2", "device": "cpu", "owners": 2}, True),
    ],
)
def test_several_workers_on_gpus_have_an_owner_unless_the_operator_says_otherwise(
    settings: dict[str, str], owned: bool
) -> None:
    assert Settings(**settings).has_owner() is owned


FOUR = "cuda:0,cuda:1,cuda:2,cuda:3"


@pytest.mark.parametrize(
    ("device", "owners", "each"),
    [
        (FOUR, None, ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        (FOUR, 2, ("cuda:0,cuda:2", "cuda:1,cuda:3")),
        (FOUR, 1, (FOUR,)),
        ("cuda:0,cuda:1", 4, ("cuda:0", "cuda:1", "cuda:0", "cuda:1")),
        ("cuda", None, ("cuda",)),
        ("cpu", 2, ("cpu", "cpu")),
    ],
)
def test_every_device_has_an_owner_and_others_are_as_many_to_each(
    device: str, owners: int | None, each: tuple[str, ...]
) -> None:
    assert Settings(device=device, owners=owners, owner="always").owned_devices() == each
    assert Settings(device=device, owner="never").owned_devices() == ()


@pytest.mark.parametrize(("device", "owners"), [("cuda:0,cuda:1,cuda:2", 2), ("cuda:0,cuda:1", 3)])
def test_owners_that_would_not_have_equally_many_devices_are_refused(device: str, owners: int) -> None:
    with pytest.raises(StartError, match=f"owners is {owners} for"):
        read_settings({"device": device, "owners": owners, "workers": "4"})


def test_owners_that_nobody_wants_are_refused() -> None:
    with pytest.raises(StartError, match="owner is never"):
        read_settings({"owners": 2, "owner": "never"})


def test_auto_is_one_process_a_cpu() -> None:
    assert Settings(workers="auto", device="cpu").processes() == min(usable_cpus(), 64)


@pytest.mark.parametrize(
    ("said", "pinned"),
    [
        ({}, True),
        ({"pin_workers": False}, False),
        ({"threads": 2}, False),
        ({"owner": "always"}, False),
        ({"owners": 1}, False),
        ({"device": "cuda"}, False),
    ],
    ids=str,
)
def test_a_worker_keeps_to_one_cpu_where_it_has_use_for_one_alone(said: dict[str, object], pinned: bool) -> None:
    settings = Settings(**{"device": "cpu", **said})
    assert share_of(settings, usable_cpus()).pins_workers() is pinned
