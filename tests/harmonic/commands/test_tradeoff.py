"""`harmonic tradeoff`: tables, JSON and pictures of finished runs."""

import json

import pytest

from harmonic.bundles import load
from harmonic.graph import macs
from tests.support.commands import done, harmonic, refused
from tests.support.trained import saved


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three networks, one with two seeds, in run folders and as bare bundles."""
    base = tmp_path_factory.mktemp("tradeoff")
    return [
        saved(base / "level1" / "bundle", "harm_wrn10_1", 0.6, level=1).parent,
        saved(base / "level1-again" / "bundle", "harm_wrn10_1", 0.64, seed=2, level=1).parent,
        saved(base / "full", "harm_wrn10_1", 0.8),
        saved(base / "narrow", "wrn10_0.5", 0.55),
    ]


def rows(text):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def test_the_table_is_sorted_by_parameters_with_the_front_marked(runs):
    parameters = [f"{sum(p.numel() for p in load(run).model.parameters()):,}" for run in runs[2:]]
    assert rows(done("tradeoff", *runs)) == [
        ["harm_wrn10_1, level 1", "11,859", "38.00", "36.00 to 40.00 (2)", "●"],
        ["wrn10_0.5", parameters[1], "45.00", "(1)", ""],
        ["harm_wrn10_1", parameters[0], "20.00", "(1)", "●"],
    ]


def test_multiplications_change_the_order_and_the_front(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = done("tradeoff", *runs, "--macs")
    assert "M MAC" in text
    assert [(row[0], row[-1]) for row in rows(text)] == [
        ("wrn10_0.5", "●"),
        ("harm_wrn10_1", "●"),
        ("harm_wrn10_1, level 1", ""),
    ]


def test_json_is_json_alone(runs, tmp_path):
    points = json.loads(done("tradeoff", *runs, "--json", "--out", tmp_path / "a.svg"))
    assert [point["arguments"] for point in points] == [{"level": 1}, {}, {}]
    assert points[0]["errors"] == [40.0, 36.0]
    assert points[0]["error"] == 38.0
    assert points[2]["macs"] == macs(load(runs[2]).model, (3, 32, 32))
    assert points[1]["runs"] == [str(runs[3])]


def test_pictures_are_written_beside_the_table(runs, tmp_path):
    ended = harmonic("tradeoff", *runs, "--out", tmp_path / "a.png", "--out", tmp_path / "new" / "a.pdf")
    assert ended.exit_code == 0
    assert "wrn10_0.5" in ended.stdout
    assert f"{tmp_path / 'a.png'} is written." in ended.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "new" / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_picture_of_another_kind_is_told_before_the_runs_are_read(tmp_path):
    assert "a picture is a .png, .svg or .pdf file" in refused("tradeoff", tmp_path, "--out", tmp_path / "a.jpg")


def test_a_folder_that_is_no_run_is_told(runs, tmp_path):
    assert f"{tmp_path} is neither a run nor a bundle" in refused("tradeoff", *runs, tmp_path)


def test_an_unfinished_run_is_told_with_the_way_on(runs, tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    said = refused("tradeoff", *runs, tmp_path)
    assert f"{tmp_path} is a run that has not finished. Give its `harmonic train` command again" in said


def test_a_bundle_without_figures_is_told_with_the_way_out(runs, tmp_path):
    said = refused("tradeoff", *runs, saved(tmp_path / "bare", "wrn10_0.5", None))
    assert f"{tmp_path / 'bare'} has no figure for test images. Train it with --test IMAGES" in said
    assert "no figure for validation images" in refused("tradeoff", *runs, "--split", "validation")


def test_a_command_without_runs_is_told():
    assert harmonic("tradeoff").exit_code == 2
