"""The splits in force, and which version a request is sent to by them."""

import logging
import time
from collections.abc import Callable

from service.config import Settings, Split
from service.engine.canary import Judge
from service.engine.catalog import Catalog
from service.errors import ControlRefused, ModelNotFound, StartError
from service.telemetry import Metrics, current, version_outcomes

log = logging.getLogger(__name__)


class Splits:
    """The splits of this process's models. changed: told when one is another."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        self._by_model = settings.splits()
        self._judge = Judge(settings.canary_rules(), self._by_model.values())
        self._changed = changed
        self._tolerant = settings.model_control != "none"

    def all(self) -> tuple[Split, ...]:
        """Of every model that has one."""
        return tuple(self._by_model.values())

    def check(self, catalog: Catalog) -> None:
        """Hold the setting against what was loaded. Raises StartError for what is not there and cannot come."""
        for split in self.all():
            there = {entry.version for entry in catalog.versions(split.model)}
            if absent := sorted({version for version, _ in split.shares} - there):
                reason = f"split names version {', '.join(map(str, absent))} of {split.model!r}, which is not there"
                if not self._tolerant:
                    raise StartError(reason)
                log.warning("%s; until it is, the others answer", reason)

    def put(self, model: str, split: Split | None) -> None:
        """Share a model's requests like this from now on, or no more."""
        if split is None:
            self._by_model.pop(model, None)
        else:
            self._by_model[model] = split
        log.info("%s: its requests are %s", model, f"shared as {dict(split.shares)}" if split else "no longer shared")
        self._changed()

    def take_out(self, model: str, version: int, reason: str) -> None:
        """Send a version no more requests that do not name it."""
        log.error("%s version %d is taken out of the split: %s", model, version, reason)
        self._by_model[model] = self._by_model[model].without(version, reason)
        self._changed()

    def judge(self, metrics: Metrics) -> None:
        """Take out the canaries that did worse than they may."""
        if not self._by_model:
            return
        for verdict in self._judge.look(time.monotonic(), version_outcomes(metrics.here()), self.all()):
            self.take_out(verdict.model, verdict.version, verdict.reason)


def check_split(split: Split, catalog: Catalog) -> None:
    """Raise ModelNotFound or ControlRefused for a split among what is not there."""
    if not catalog.versions(split.model):
        raise ModelNotFound(f"there is no model {split.model[:100]!r}; GET /v1/models lists them")
    if missing := _missing(split, catalog):
        raise ControlRefused(missing)


def chosen(catalog: Catalog, model: str | None) -> int | None:
    """The version to which the split of a model sends this request; None for the newest."""
    name = model or catalog.default
    split = next((one for one in catalog.splits if one.model == name), None)
    exchange = current()
    if split is None:
        return None
    return split.version_for(
        exchange.request_id if exchange else str(time.monotonic_ns()), catalog.answering(split.model)
    )


def _missing(split: Split, catalog: Catalog) -> str:
    there = catalog.answering(split.model)
    missing = [str(version) for version, _ in split.shares if version not in there]
    if not missing:
        return ""
    have = ", ".join(map(str, sorted(there))) or "none"
    return f"version {', '.join(missing)} of {split.model!r} cannot answer; those that can: {have}"
