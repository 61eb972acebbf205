"""`harmonic classify`: files in, a table or JSON lines out; in this process or against a running service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic_core import to_json
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harmonic.errors import HarmonicError
from harmonic.shown import plain, show
from service.client import AsyncClient
from service.config import read_settings
from service.engine import Engine, LocalEngine
from service.telemetry import Metrics

_Answer = dict[str, Any]  # classes: label, index, probability, the likeliest first; certain, where the model can say it
_Ask = Callable[[bytes], Awaitable[_Answer]]


def classify_files(
    paths: Sequence[Path],
    *,
    url: str | None,
    repository: str | None,
    model: str | None,
    top_k: int,
    device: str | None,
    as_json: bool,
    key: str | None = None,
) -> int:
    """Classify files, print the answers, return how many failed. Raises HarmonicError if no file can be asked about."""
    answering = _remote(url, model, top_k, key) if url else _local(repository, model, top_k, device)
    return asyncio.run(_classify_all(paths, answering, as_json))


async def _classify_all(
    paths: Sequence[Path], answering: "contextlib.AbstractAsyncContextManager[_Ask]", as_json: bool
) -> int:
    failed = 0
    rows: list[tuple[Path, _Answer]] = []
    async with answering as ask:
        for path in paths:
            try:
                answer = await ask(path.read_bytes())
            except (OSError, HarmonicError) as error:
                failed += 1
                _report(path, error, as_json)
                continue
            if as_json:
                _line({"file": str(path), **answer})
            else:
                rows.append((path, answer))
    if rows:
        show(_table(rows))
    return failed


@contextlib.asynccontextmanager
async def _local(repository: str | None, model: str | None, top_k: int, device: str | None) -> AsyncIterator[_Ask]:
    settings = read_settings({"repository": repository, "device": device})
    engine: Engine = LocalEngine(settings, Metrics(CollectorRegistry()))
    await engine.start()

    async def ask(data: bytes) -> _Answer:
        with engine.visit(model, None) as visit:
            ranked, _ = await visit.submit([data], best=top_k)
            manifest = visit.facts.manifest
            return ranked.predictions(manifest.classes, top_k, manifest.certain_from)[0]

    try:
        yield ask
    finally:
        await engine.stop()


@contextlib.asynccontextmanager
async def _remote(url: str, model: str | None, top_k: int, key: str | None) -> AsyncIterator[_Ask]:
    async with AsyncClient(url, key=key) as client:

        async def ask(data: bytes) -> _Answer:
            answer = await client.classify(data, top=top_k, model=model)
            said = {} if answer.certain is None else {"certain": answer.certain}
            return {"classes": [one.model_dump() for one in answer.classes], **said}

        yield ask


def _report(path: Path, error: OSError | HarmonicError, as_json: bool) -> None:
    reason = str(error.strerror) if isinstance(error, OSError) else str(error)
    if as_json:
        _line({"file": str(path), "error": reason})
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]{escape(str(path))}:[/] {escape(reason)}")


def _line(record: dict[str, Any]) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(to_json(record).decode())


def _table(rows: list[tuple[Path, _Answer]]) -> Table:
    table = Table(Column("file", overflow="fold"), Column("class", overflow="fold"), "probability")
    table.columns[2].justify = "right"
    for path, answer in rows:
        classes = answer["classes"]
        for place, entry in enumerate(classes):
            name = "" if place else plain(path)
            label = plain(entry["label"])
            if not place and answer.get("certain") is False:
                label.append(" (not sure)", "dim")
            table.add_row(name, label, f"{entry['probability']:.1%}", end_section=place == len(classes) - 1)
    return table
