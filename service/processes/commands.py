"""What is one over all workers: control of models, limits of keys, and what was counted.

A change goes to every worker at once. Each loads and tries what is new beside what serves, and all change over together
when the last of them is ready to: no worker answers with a version that another has still to load.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from export.errors import ExportError
from export.repository import model_names
from service.config import Holder, Settings
from service.engine import CanaryVerdict
from service.errors import NotReady, ServiceError
from service.handover import Facts, Gone
from service.processes.reports import Report, read_report
from service.processes.splitting import SharedSplits, read_split, split_facts
from service.telemetry import Family

log = logging.getLogger(__name__)
_CONTROL_SECONDS = 3600.0
_NO_OWNER = "no process that runs the models is left for a moment; ask again shortly"
_REPORT_SECONDS = 2.0
_UPKEEP_SECONDS = 5.0  # from one look at what the workers have counted to the next, if nobody asks


class Member(Protocol):
    """A worker that serves."""

    @property
    def number(self) -> int:
        """Which one."""
        ...

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What it answers."""
        ...


class Agreement:
    """Those who do the same wait here for each other. One that has gone, or is done, is not waited for."""

    def __init__(self, number: int) -> None:
        self._awaited = number
        self._all = asyncio.Event()
        self._count()

    async def wait(self) -> None:
        """Return when everybody has come so far."""
        self._awaited -= 1
        self._count()
        try:
            await self._all.wait()
        finally:
            self._awaited += 1  # it still has to leave

    def leave(self) -> None:
        """Be waited for no more."""
        self._awaited -= 1
        self._count()

    def _count(self) -> None:
        if self._awaited <= 0:
            self._all.set()


class Commands:
    """What workers ask of the supervisor. members: all processes that count something. own: the supervisor's own
    metrics. owners: the processes that hold the models; None where every member does. only: there is to be one owner,
    which follows the repository itself."""

    def __init__(
        self,
        settings: Settings,
        members: Callable[[], Sequence[Member]],
        own: Callable[[], Sequence[Family]],
        owners: Callable[[], Sequence[Member]] | None = None,
        only: bool = False,
    ) -> None:
        self._settings = settings
        self._members = members
        self._own = own
        self._holders = owners or members
        self._only = only
        self._one_at_a_time = asyncio.Lock()
        self._agreement: Agreement | None = None
        self._keys = {key.name: Holder(key) for key in settings.keyring().kept()}
        self._reports: dict[int, Facts] = {}  # what each member said last
        self._departed = Report()
        self._wanted: set[str] | None = None  # models that explicit control has loaded; None before the first start
        self._unwanted: set[str] = set()  # models that it has unloaded since
        self._splits = SharedSplits(settings)
        self._followed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, member: Member, what: str, facts: Facts) -> Facts:
        """What a worker asks. Raises what control raises."""
        if what == "take":
            bucket = self._keys[facts["key"]].bucket
            return {"wait_s": bucket.take() if bucket else 0.0}
        if what == "gather":
            return {"reports": await self._gather(member)}
        if what == "agree":
            if self._agreement:
                await self._agreement.wait()
            return {}
        if what == "split":
            await self._everywhere(what, facts["name"], split=facts["split"])
            self._splits.note(facts["name"], read_split(facts["split"]))
            return {}
        if what in {"load", "unload", "reset"}:
            await self._everywhere(what, facts["name"])
            return {}
        raise ServiceError(f"a worker asked for {what!r}, which this supervisor does not know")

    def begin(self, models: Sequence[str]) -> None:
        """Every worker has started, with these models."""
        self._wanted, self._followed = set(models), set(models)
        self._tasks.append(asyncio.ensure_future(self._keep_up()))
        if self._settings.model_control == "poll" and not self._only:
            self._tasks.append(asyncio.ensure_future(self._poll()))

    def adopt(self, models: Sequence[str]) -> None:
        """A worker that served before this began has these models: they are wanted."""
        self._wanted = (self._wanted or set()) | set(models)
        self._followed |= set(models)

    def end(self) -> None:
        """Follow no more changes."""
        for task in self._tasks:
            task.cancel()

    async def catch_up(self, member: Member, models: Sequence[str]) -> None:
        """Give a worker that started later the models that the others were told to load since, before it serves.

        What it has is looked at again: there may be a newer version, which the others have loaded meanwhile.
        """
        if self._wanted is None:
            return
        async with self._one_at_a_time:
            for name, split in self._splits.all().items():
                await self._do(member, "put split", name, None, split=split_facts(split))
            if self._settings.model_control != "explicit":
                return
            unload = (set(models) - self._wanted) | self._unwanted
            for act, names in (("load", self._wanted), ("unload", unload)):
                for name in sorted(names):
                    await self._do(member, act, name, None)

    def first_models(self) -> str | None:
        """The setting `load_models` of a worker that starts now."""
        if self._wanted is None or self._settings.model_control != "explicit":
            return self._settings.load_models
        try:
            present = set(model_names(self._settings.repository))
        except (ExportError, OSError):  # the worker will say so
            present = self._wanted
        return ",".join(sorted(self._wanted & present))

    def departed(self, number: int) -> None:
        """A worker has ended: what it had counted stays counted."""
        if last := self._reports.pop(number, None):
            self._departed = self._departed.and_also(read_report(last).lasting())

    async def judge(self) -> None:
        """Have canaries taken out everywhere that did worse than they may, by what was reported last."""
        families = (read_report(facts).families for facts in self._reports.values())
        await self._take_out(self._splits.verdicts([*families, self._departed.families]))

    async def bury(self, fatal: Sequence[Sequence[Any]]) -> None:
        """Have canaries taken out everywhere that cost a process its life. fatal: names and numbers of versions."""
        await self._take_out(self._splits.fatal(fatal))

    async def _take_out(self, verdicts: Sequence[CanaryVerdict]) -> None:
        for verdict in verdicts:
            self._splits.note(verdict.model, self._splits.without(verdict))  # who starts from now on has it so
        for verdict in verdicts:
            log.error("%s version %d is taken out of the split: %s", verdict.model, verdict.version, verdict.reason)
            split = self._splits.all()[verdict.model]
            await self._everywhere("put split", verdict.model, split=split_facts(split))

    async def _everywhere(self, act: str, name: str, **more: object) -> None:
        """Have everybody do it who has models. Raises the first error; the others have done it nevertheless."""
        async with self._one_at_a_time:
            members = self._holders()
            agreement = self._agreement = Agreement(len(members))
            try:
                found = await asyncio.gather(*(self._do(member, act, name, agreement, **more) for member in members))
            finally:
                self._agreement = None
            # Who has ended meanwhile has a successor, which loads what is wanted then.
            outcomes = [one for one in found if not isinstance(one, Gone)]
            self._note(act, name, None in outcomes)
            if not outcomes:
                raise NotReady(_NO_OWNER, retry_after_s=1)
            if error := next(filter(None, outcomes), None):
                raise error

    async def _do(
        self, member: Member, act: str, name: str, agreement: Agreement | None, **more: object
    ) -> ServiceError | Gone | None:
        try:
            await member.ask("act", _CONTROL_SECONDS, act=act, name=name, **more)
        except (ServiceError, Gone) as error:
            return error
        except TimeoutError:
            return ServiceError(f"worker {member.number} has not ended {act} of {name!r} in {_CONTROL_SECONDS:g} s")
        finally:
            if agreement:
                agreement.leave()
        return None

    def _note(self, act: str, name: str, done: bool) -> None:
        if self._wanted is None or not done:
            return
        if act == "load":
            self._wanted.add(name)
            self._unwanted.discard(name)
        elif act == "unload":
            self._wanted.discard(name)
            self._unwanted.add(name)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                names = await asyncio.to_thread(model_names, self._settings.repository)
                for name in [*names, *sorted(self._followed - set(names))]:
                    await self._everywhere("follow", name)
                self._followed = set(names)
            except (ServiceError, ExportError, OSError) as error:  # away for a while; what serves, serves
                log.warning("looking at the repository: %s", error)
            except Exception:  # the edge of the task: the next look may go better
                log.exception("looking at the repository")

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP_SECONDS)
            await asyncio.gather(*map(self._ask_report, self._members()))
            try:
                await self.judge()
            except ServiceError as error:
                log.warning("a version could not be taken out: %s", error)
            except Exception:  # the edge of the task: the next look may go better
                log.exception("looking at canaries")

    async def _gather(self, asker: Member) -> list[Facts]:
        """The reports of all others, of those that have ended, and of the supervisor itself."""
        others = [member for member in self._members() if member.number != asker.number]
        await asyncio.gather(*map(self._ask_report, others))
        found = [self._reports[member.number] for member in others if member.number in self._reports]
        return [*found, self._departed.as_facts(), Report(families=tuple(self._own())).as_facts()]

    async def _ask_report(self, member: Member) -> None:
        try:
            self._reports[member.number] = await member.ask("report", _REPORT_SECONDS)
        except (Gone, TimeoutError, ServiceError):
            log.debug("worker %d did not report", member.number)  # what it said last is the best there is
