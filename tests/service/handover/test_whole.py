"""The catalog of several owners: ready is what one of them has ready, and it says what the others lack."""

from pathlib import Path

from export.manifest import read_manifest
from service.batching import BatchPolicy
from service.engine import BrokenVersion, VersionFacts
from service.handover.offers import Offer, Offers, read_offers
from service.handover.whole import AWAY, away, whole


def facts(repository: Path, device: str, gpu: int, remark: str = "") -> VersionFacts:
    manifest = read_manifest(repository / "colours" / "1")
    policy = BatchPolicy(max_queue=100)
    return VersionFacts("colours", 1, manifest, policy, "CUDA", device, (gpu,), 2, remark=remark)


def offers(*served: VersionFacts, broken: tuple[BrokenVersion, ...] = (), ready: bool = True) -> Offers:
    found = Offers(tuple(Offer(7, one, ready) for one in served), broken, "colours", "load one")
    return read_offers(found.as_facts())  # as it arrives


def test_a_version_has_the_devices_instances_and_queues_of_all_its_owners(repository: Path) -> None:
    both = {2: offers(facts(repository, "cuda:1", 1)), 1: offers(facts(repository, "cuda:0", 0))}
    catalog = whole(both, 2)
    (found,) = catalog.ready
    assert (found.device, found.gpus, found.instances, found.policy.max_queue) == ("cuda:0,cuda:1", (0, 1), 4, 200)
    assert (found.remark, catalog.broken, catalog.default) == ("", (), "colours")


def test_what_one_owner_lacks_is_a_remark_while_another_serves_it(repository: Path) -> None:
    sound = offers(facts(repository, "cuda:0", 0, remark="its folder is gone"))
    lacking = offers(broken=(BrokenVersion("colours", 1, "no memory is left"),))
    (found,) = whole({1: sound, 2: lacking}, 2).ready
    assert found.remark == ("its folder is gone; 1 of 2 owners of the models have it ready; owner 2: no memory is left")
    assert whole({1: sound, 2: lacking}, 2).broken == ()
    (alone,) = whole({1: sound}, 2).ready
    assert alone.remark == "its folder is gone; 1 of 2 owners of the models have it ready"


def test_what_no_owner_has_ready_is_broken_and_says_where(repository: Path) -> None:
    lacking = offers(facts(repository, "cuda:0", 0), broken=(BrokenVersion("colours", 1, "calls fail"),), ready=False)
    catalog = whole({1: lacking, 2: lacking}, 2)
    assert (catalog.ready, catalog.broken) == ((), (BrokenVersion("colours", 1, "owner 1: calls fail"),))
    assert whole({1: lacking}, 1).broken == (BrokenVersion("colours", 1, "calls fail"),)


def test_without_owners_everything_is_broken_and_stays_known(repository: Path) -> None:
    catalog = whole({1: offers(facts(repository, "cuda:0", 0))}, 1)
    for _ in range(2):
        catalog = away(catalog)
        assert (catalog.ready, catalog.broken) == ((), (BrokenVersion("colours", 1, AWAY),))
    assert catalog.default == "colours"
