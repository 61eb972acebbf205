"""What the door promises, of any engine behind it: the one that serves, one of several processes, and a toy."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.errors import ControlRefused, DocumentNotFound, Draining, ModelNotFound, NotReady, TooManyImages
from service.ranking import rank
from tests.support.crews import shared
from tests.support.engines import Make, local, started, toy
from tests.support.images import plain
from tests.support.owned import remote, remote_of_two


@pytest.fixture
def root(publish: Callable[..., Path], tmp_path: Path) -> Path:
    """A sound version, and one that is broken."""
    publish()
    publish(golden_shift=1.0)
    return tmp_path / "models"


@pytest.fixture(params=[local, shared, remote, remote_of_two, toy])
def new(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


async def test_an_engine_is_not_ready_and_lets_nobody_in_before_it_has_started(new: Make, root: Path) -> None:
    engine = new(root)
    assert not engine.ready() and engine.alive() and not engine.leaving and not engine.parting()
    assert engine.describe().names() == []
    with pytest.raises(NotReady), engine.visit(None, None):
        pass
    with pytest.raises(NotReady):
        engine.find(None, None)
    with pytest.raises(NotReady):
        await engine.index()
    await engine.start()
    await engine.start()  # the second does nothing
    assert engine.ready()
    await engine.stop()


async def test_an_engine_tells_facts_of_what_serves_and_why_the_rest_does_not(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        facts = engine.find(None, None)
        assert (facts.name, facts.version, facts.gpus) == ("colours", 1, ())
        assert facts.instances >= 1
        assert facts == engine.find("colours", 1) == engine.describe().ready[0]
        (broken,) = engine.describe().broken
        assert (broken.version, bool(broken.reason)) == (2, True)
        assert await engine.index() == [facts, broken]
        assert set(engine.statistics()) == set(engine.figures()) == {("colours", 1)}


@pytest.mark.parametrize(
    ("model", "version", "refusal"), [("none", None, ModelNotFound), ("colours", 9, ModelNotFound)]
)
async def test_what_is_not_there_is_not_found(
    new: Make, root: Path, model: str, version: int | None, refusal: type[Exception]
) -> None:
    async with started(new, root) as engine:
        with pytest.raises(refusal):
            engine.find(model, version)
        with pytest.raises(refusal), engine.visit(model, version):
            pass
        with pytest.raises(NotReady), engine.visit("colours", 2):
            pass
        assert engine.in_flight == 0


async def test_images_and_rows_get_the_same_answer_and_it_says_where_the_time_went(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        rows = np.zeros((2, 8, 8, 3), np.uint8)
        rows[0, ..., 0] = rows[1, ..., 2] = 255
        with engine.visit(None, None) as visit:
            assert engine.in_flight == 1
            from_images, times = await visit.submit([plain("red"), plain("blue")])
            from_rows, _ = await visit.submit_rows(rows)
            visit.note(times.written(times.ended - 1))
        np.testing.assert_allclose(from_images.logits, from_rows.logits, atol=1e-5)
        assert from_images.logits.argmax(axis=1).tolist() == [0, 2]
        assert (times.model, times.version, times.images) == ("colours", 1, 2)
        assert times.decode_s > 0 and times.inference_s >= 0 and times.batch_size >= 2
        assert engine.in_flight == 0


async def test_as_many_of_the_likeliest_classes_come_with_the_logits_as_were_asked_for(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        with engine.visit(None, None) as visit:
            labels = visit.facts.manifest.classes
            none, one, all_of_them = await asyncio.gather(
                *(visit.submit([plain("red"), plain("blue")], best=best) for best in (0, 1, 99))
            )
        alone = rank(none[0].logits, 99).predictions(labels, 99)
        found = all_of_them[0].predictions(labels, 99)
        assert [len(image["classes"]) for image in found] == [3, 3]
        assert [image["classes"][0]["label"] for image in one[0].predictions(labels, 1)] == ["red", "blue"]
        for image, wanted in zip(found, alone, strict=True):
            probabilities = [[entry["probability"] for entry in each["classes"]] for each in (image, wanted)]
            np.testing.assert_allclose(*probabilities, atol=1e-5)


async def test_a_visit_that_is_not_noted_counts_as_failed(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        with engine.visit(None, None) as visit:
            _, times = await visit.submit([plain("red")])
            visit.note(times.written(times.ended - 2))
        with pytest.raises(ZeroDivisionError), engine.visit(None, None):
            raise ZeroDivisionError
        await engine.gather()
        figures = engine.figures()["colours", 1]
        assert (figures.success.count, figures.fail.count, figures.images) == (1, 1, 1)
        assert figures.success.ns >= 2e9 and figures.batches[1].count == 1
        assert engine.statistics()["colours", 1].images == 1


async def test_what_is_gathered_is_told_before_a_start_and_after_it(new: Make, root: Path) -> None:
    engine = new(root)
    await engine.gather()
    assert (engine.describe().names(), engine.in_flight) == ([], 0)
    await engine.start()
    with engine.visit(None, None) as visit:
        _, times = await visit.submit([plain("red")])
        visit.note(times.written(times.ended))
        await engine.gather()
        assert engine.in_flight == 1
    assert engine.figures()["colours", 1].success.count == 1
    assert engine.describe().find(None, None) == engine.find(None, None)
    await engine.stop()
    await engine.gather()


async def test_more_images_than_a_call_takes_are_refused(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        most = engine.find(None, None).policy.max_size
        with engine.visit(None, None) as visit, pytest.raises(TooManyImages):
            await visit.submit_rows(np.zeros((most + 1, 8, 8, 3), np.uint8))


async def test_control_and_documents_that_are_not_there_are_refused(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        for act in (engine.load_model, engine.unload_model, engine.reset_norm):
            with pytest.raises(ControlRefused):
                await act("colours")
        with pytest.raises(DocumentNotFound):
            engine.document("colours", 1, "MODEL_CARD.md")


async def test_who_leaves_lets_in_for_a_while_and_who_drains_answers_those_within(new: Make, root: Path) -> None:
    async with started(new, root) as engine:
        engine.leave()
        assert engine.leaving and engine.parting() and not engine.ready() and engine.alive()
        with engine.visit(None, None) as visit:
            draining = asyncio.ensure_future(engine.drain())
            await asyncio.sleep(0)
            with pytest.raises(Draining), engine.visit(None, None):
                pass
            assert not draining.done()
            ranked, _ = await visit.submit([plain("green")])
            assert ranked.logits.argmax() == 1
        async with asyncio.timeout(10):
            await draining
        await engine.stop()
        await engine.stop()  # the second does nothing
        assert engine.leaving
