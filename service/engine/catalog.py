"""What an engine says of its versions: facts, and the catalog of all of them.

Knows no session and no folder, so that any engine can say it of itself, wherever its models run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from export.manifest import Manifest
from service.batching import BatchPolicy
from service.config import Split
from service.errors import ModelNotFound, NotLoaded, NotReady


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version that may be asked.

    policy: in force, so with max_size bounded by the manifest's. provider: what really runs it. device: "cpu", "cuda:N"
    or several as "cuda:0,cuda:1"; gpus: their numbers. instances: on all devices together. variant: which of the
    manifest's. adaptive: its norm follows the traffic, so an answer depends on earlier ones. remark: what an operator
    should know of it, such as that its folder changed for the worse. size_bytes: of the files that its graph is in.
    memory_bytes: what loading it took, where that is looked at.
    """

    name: str
    version: int
    manifest: Manifest
    policy: BatchPolicy
    provider: str
    device: str = "cpu"
    gpus: tuple[int, ...] = ()
    instances: int = 1
    variant: str = "default"
    adaptive: bool = False
    remark: str = ""
    size_bytes: int = 0
    memory_bytes: int = 0

    @property
    def precision(self) -> str:
        """Of weights and arithmetic: fp32, fp16 or int8."""
        return "fp32" if self.variant == "default" else self.manifest.variant(self.variant).precision

    @property
    def model(self) -> str:
        """The model's name in the repository, without the precision that a name may end with."""
        return self.name.partition(_BEFORE_PRECISION)[0]


@dataclass(frozen=True, slots=True)
class BrokenVersion:
    """A version that is left out, and why. fatal: only a new process may find it sound."""

    name: str
    version: int
    reason: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class OnDemand:
    """A version that is not in memory: the next request for it loads it, and waits for it up to its deadline."""

    name: str
    version: int
    manifest: Manifest
    deadline_s: float
    remark: str = ""

    @property
    def model(self) -> str:
        """The model's name in the repository."""
        return self.name


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A model of the repository that is not loaded, where models are loaded on request."""

    name: str


Entry = VersionFacts | BrokenVersion | OnDemand
_Asked = tuple[str | None, int | None]  # a model and a version, as requests name them
_BEFORE_PRECISION = ":"  # which no model's name has


def by_precision(model: str, precision: str) -> str:
    """The name by which one precision of a model is asked for."""
    return f"{model}{_BEFORE_PRECISION}{precision}"


def trouble(entry: Entry) -> str:
    """What is wrong with a version, or around it; empty for nothing."""
    return entry.reason if isinstance(entry, BrokenVersion) else entry.remark


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the repository holds: every version is ready, or broken, or ready on demand."""

    ready: tuple[VersionFacts, ...]
    broken: tuple[BrokenVersion, ...]
    default: str | None  # the setting, or the only name
    advice: str = "put one into the repository with `harmonic export`"  # where there is no model at all
    on_demand: tuple[OnDemand, ...] = ()
    splits: tuple[Split, ...] = ()
    _answering: dict[_Asked, VersionFacts] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        newest: dict[str, VersionFacts] = {}
        for facts in self.ready:
            for name in _names_of(facts):
                self._answering[name, facts.version] = facts
                if name not in newest or facts.version > newest[name].version:
                    newest[name] = facts
        waiting = {one.name: one.version for one in sorted(self.on_demand, key=lambda one: one.version)}
        for name, facts in newest.items():
            if waiting.get(facts.model, 0) > facts.version:
                continue  # that one is to answer, once it is loaded
            self._answering[name, None] = facts
            if name == self.default:
                self._answering[None, None] = facts

    def names(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted({entry.name for entry in self._entries()})

    def known(self) -> list[VersionFacts | OnDemand]:
        """Every version that a request may be answered with, in memory or not."""
        return [*self.ready, *self.on_demand]

    def answering(self, name: str) -> set[int]:
        """The versions of a model that a request may be answered with, in memory or not."""
        return {one.version for one in self.known() if one.name == name}

    def versions(self, name: str) -> list[Entry]:
        """A model's versions, ready or broken, ascending; empty if there is no such model. Of a model in one precision
        those that are ready in it."""
        found = (entry for entry in self._entries() if name in _names_of(entry))
        return sorted(found, key=lambda entry: entry.version)

    def find(self, name: str | None, version: int | None) -> VersionFacts:
        """The version asked for; None means the default model, and the newest ready version.

        Raises ModelNotFound for what is not there, NotReady for what is there and broken, NotLoaded for what is to be
        loaded first.
        """
        if (found := self._answering.get((name, version))) is not None:
            return found
        if name is None:
            name = self.default or self._no_default()
        entries = self.versions(name)
        self._check_loaded(name, version)
        if not entries:
            self._check_precision(name, version)
            raise ModelNotFound(f"there is no model {name!r}; GET /v1/models lists them")
        return _choose(name, version, entries)

    def serves(self) -> bool:
        """True while the default model answers, or where there is none, any model."""
        found = {one.name for one in self.ready} | {one.name for one in self.on_demand}
        return bool(found) if self.default is None else (self.default, None) in self._answering or self.default in found

    def _check_loaded(self, name: str, version: int | None) -> None:
        """Raise NotLoaded where a version on demand is what is asked for, maybe by the name of a precision."""
        model = name.partition(_BEFORE_PRECISION)[0]
        wanted = [one for one in self.on_demand if one.name == model and version in (None, one.version)]
        if not wanted:
            return
        newest = max(wanted, key=lambda one: one.version)
        ready = max((one.version for one in self.ready if one.model == model), default=0)
        if version is not None or newest.version > ready:
            raise NotLoaded(newest.name, newest.version, newest.deadline_s)

    def _check_precision(self, name: str, version: int | None) -> None:
        """ModelNotFound that tells which precisions may be asked for, where only that is wrong."""
        model, _, asked = name.partition(_BEFORE_PRECISION)
        loaded = [facts for facts in self.ready if facts.model == model and version in (None, facts.version)]
        if not asked or not loaded:
            return
        names = ", ".join(sorted({by_precision(model, facts.precision) for facts in loaded}))
        there = {variant.precision for facts in loaded for variant in facts.manifest.variants}
        advice = f"; it has {asked}, which the setting precision loads" if asked in there else ""
        raise ModelNotFound(f"model {model!r} answers as {names} and not in {asked[:40]!r}{advice}")

    def _entries(self) -> list[Entry]:
        return [*self.ready, *self.broken, *self.on_demand]

    def _no_default(self) -> str:
        if not self.names():
            raise NotReady(f"no model is ready; {self.advice}")
        raise ModelNotFound(
            f"several models are served ({', '.join(self.names())}) and none is the default; "
            "name one: /v1/models/NAME/classify"
        )


def _names_of(entry: Entry) -> set[str]:
    """Every name by which a version is asked for."""
    return {entry.name} | ({by_precision(entry.model, entry.precision)} if isinstance(entry, VersionFacts) else set())


def gather(entries: Iterable[Entry], default_model: str | None) -> Catalog:
    """A catalog of these versions. default_model: the setting; None for the only model, if there is only one."""
    found = tuple(entries)
    names = {entry.name.partition(_BEFORE_PRECISION)[0] for entry in found}
    return Catalog(
        tuple(entry for entry in found if isinstance(entry, VersionFacts)),
        tuple(entry for entry in found if isinstance(entry, BrokenVersion)),
        default_model or (names.pop() if len(names) == 1 else None),
        on_demand=tuple(entry for entry in found if isinstance(entry, OnDemand)),
    )


def _choose(name: str, version: int | None, entries: list[Entry]) -> VersionFacts:
    ready = {entry.version: entry for entry in entries if isinstance(entry, VersionFacts)}
    if version is None and ready:
        return ready[max(ready)]
    if version is not None and version in ready:
        return ready[version]
    if version is not None and version not in {entry.version for entry in entries}:
        raise ModelNotFound(f"model {name!r} has no version {version}; GET /v1/models/{name} lists them")
    which = f"model {name!r}" if version is None else f"version {version} of model {name!r}"
    raise NotReady(f"{which} is not ready; GET /v1/models/{name} says why")
