"""Several sizes of one network from one run of measurements, as a table and as a picture."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from harmonic.compression import front
from harmonic.compression.choice import Budget
from harmonic.compression.compress import compress_bundle, compress_to, shares
from harmonic.compression.front import draw_front, front_table
from harmonic.errors import CompressionError
from tests.support.compression import calibration_images, given, network

BUDGETS = [Budget("params", 0.7), Budget("macs", 0.5)]


@pytest.fixture(scope="module")
def bench():
    return calibration_images()


@pytest.fixture(scope="module")
def measured():
    """What was wrapped while both budgets were met."""
    return []


@pytest.fixture(scope="module")
def outcomes(bench, measured):
    def watch(steps, title):
        measured.append(title)
        return steps

    return [outcome for _, outcome in compress_to(given(network()), bench, BUDGETS, watch, refitted=False)]


def test_layers_are_measured_once_for_all_sizes(outcomes, measured, bench):
    assert measured.count("Measuring layers") == 1
    alone = compress_bundle(given(network()), bench, BUDGETS[1], refitted=False)[1]
    assert alone == outcomes[1]


def test_all_budgets_must_be_possible_before_anything_is_measured(bench):
    budgets = [Budget("params", 0.7), Budget("params", 0.001)]
    with pytest.raises(CompressionError, match="the least is"):
        next(compress_to(given(network()), bench, budgets, lambda *steps: pytest.fail("measured")))


def test_shares_that_no_levels_meet_are_left_out(bench):
    wanted = shares(given(network()), bench, "params", [0.9, 0.5, 0.01])
    assert wanted == [Budget("params", 0.9), Budget("params", 0.5)]


def test_the_table_has_the_whole_network_and_every_size(outcomes):
    console = Console(width=200, file=StringIO())
    console.print(front_table(outcomes))
    shown = console.file.getvalue()
    for outcome in outcomes:
        row = next(line for line in shown.splitlines() if f" {outcome.budget} " in line)
        assert f"{outcome.parameters[1]:,}" in row
        assert f"{outcome.agreement:.2%}" in row
        assert f"{outcome.accuracy[1]:.2%}" in row
    assert f"{outcomes[0].sizes['macs'][0]:,}" in next(line for line in shown.splitlines() if " whole " in line)


def test_the_picture_shows_every_measure(outcomes, tmp_path):
    draw_front(outcomes, tmp_path / "front.svg")
    drawn = (tmp_path / "front.svg").read_text()
    for word in (
        "parameters",
        "multiplications",
        "bytes of weights",
        "same answer",
        "top-1",
        f"on {outcomes[0].held_out}",
    ):
        assert f"<!-- {word}" in drawn
    draw_front(outcomes, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn


def test_no_point_lies_outside_the_picture(outcomes, monkeypatch, tmp_path):
    """A layout may be slower than the whole network's: then its share is above 1."""
    figures = []
    monkeypatch.setattr(front, "write_picture", lambda figure, _path: figures.append(figure))
    slower = [replace(one, sizes={**one.sizes, "latency": (100, 140)}) for one in outcomes]
    draw_front(slower, tmp_path / "front.svg")
    for axis in figures[0].axes:
        low, high = axis.get_xlim()
        assert low == 0
        assert all(0 < share < high for line in axis.lines for share in line.get_xdata())
