"""What several owners offer, as one catalog: a version is ready while one of them has it ready; a remark tells of the
others. It is on demand where none has it and none found it broken."""

from collections.abc import Mapping
from dataclasses import replace

from service.engine import BrokenVersion, Catalog, VersionFacts
from service.handover.offers import Offers

AWAY = "the process that runs the models has ended; ask again shortly"
Key = tuple[str, int]


def whole(offers: Mapping[int, Offers], owners: int) -> Catalog:
    """The catalog of all owners that are there, by their numbers; at least one. owners: how many there are to be."""
    ready: dict[Key, list[VersionFacts]] = {}
    broken: dict[Key, dict[int, BrokenVersion]] = {}
    for number, one in sorted(offers.items()):
        for facts in one.catalog().ready:
            ready.setdefault((facts.name, facts.version), []).append(facts)
        for entry in one.broken:
            broken.setdefault((entry.name, entry.version), {})[number] = entry
    on_demand = {(entry.name, entry.version): entry for one in offers.values() for entry in one.on_demand}
    first = next(iter(offers.values()))
    return Catalog(
        tuple(_together(found, owners, broken.get(key, {})) for key, found in ready.items()),
        tuple(_broken(found, owners) for key, found in broken.items() if key not in ready),
        first.default,
        first.advice,
        tuple(waiting for key, waiting in on_demand.items() if key not in ready and key not in broken),
        first.splits,
    )


def away(catalog: Catalog) -> Catalog:
    """What is left of a catalog when no owner is."""
    broken = tuple(BrokenVersion(facts.name, facts.version, AWAY) for facts in catalog.known())
    return replace(catalog, ready=(), on_demand=(), broken=(*catalog.broken, *broken))


def _together(found: list[VersionFacts], owners: int, troubles: Mapping[int, BrokenVersion]) -> VersionFacts:
    """A version as the whole service has it: the instances and queues of all, and what is to be said of them."""
    if owners == 1:
        return found[0]
    remarks = list(dict.fromkeys(facts.remark for facts in found if facts.remark))
    if len(found) < owners:
        why = (f"owner {number}: {entry.reason}" for number, entry in troubles.items())
        remarks.append("; ".join([f"{len(found)} of {owners} owners of the models have it ready", *why]))
    devices = dict.fromkeys(device for facts in found for device in facts.device.split(","))
    return replace(
        found[0],
        policy=replace(found[0].policy, max_queue=sum(facts.policy.max_queue for facts in found)),
        device=",".join(devices),
        gpus=tuple(sorted({number for facts in found for number in facts.gpus})),
        instances=sum(facts.instances for facts in found),
        remark="; ".join(remarks),
    )


def _broken(found: Mapping[int, BrokenVersion], owners: int) -> BrokenVersion:
    number, entry = next(iter(found.items()))
    return entry if owners == 1 else replace(entry, reason=f"owner {number}: {entry.reason}")
