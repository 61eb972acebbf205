"""What points are called, and the tables that people read."""

import pytest
from rich.console import Console

from harmonic.analysis.tradeoff import Point
from harmonic.analysis.tradeoff_table import described, line_name, point_name, tradeoff_rows, tradeoff_tables, written


def point(architecture, *errors, data="one", recipe="", parameters=1000, **arguments):
    return Point(architecture, arguments, data, recipe, parameters, 2_500_000, errors or (1.0,), ("run",))


def shown(points, **options):
    with (console := Console(width=100)).capture() as printed:
        for table in tradeoff_tables(points, split="test", **options):
            console.print(table)
    return printed.get()


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["wrn10_1"], "wrn10_1"),
        (["wrn10_1", "wrn10_0.5"], "wrn10_{width}"),
        (["wrn16_1", "wrn10_1"], "wrn{depth}_1"),
        (["wrn16_1", "wrn10_2"], "wrn{depth}_{width}"),
        (["harm_se_resnext50_32x4d", "harm_se_resnext101_32x4d"], "harm_se_resnext{depth}_32x4d"),
        (["torchvision/resnet18"], "torchvision/resnet18"),
    ],
)
def test_a_line_is_called_by_what_its_points_share(names, wanted):
    assert line_name([point(name) for name in names]) == wanted


def test_a_point_is_called_by_what_tells_it_from_its_line():
    levels = [point("harm_wrn10_1", level=1), point("harm_wrn10_1"), point("harm_wrn10_1", level=[None, 3, 2])]
    assert [point_name(each, levels) for each in levels] == ["level 1", "level full", "level full/3/2"]
    widths = [point("wrn10_0.5"), point("wrn10_1")]
    assert [point_name(each, widths) for each in widths] == ["width 0.5", "width 1"]


def test_a_point_alone_on_its_line_needs_no_name_and_equal_ones_their_recipes():
    assert point_name(point("wrn10_1"), [point("wrn10_1")]) == ""
    line = [point("wrn10_1", recipe="brief"), point("wrn10_1", recipe="long")]
    assert [point_name(each, line) for each in line] == ["brief", "long"]


def test_a_spectrum_is_called_by_its_levels():
    line = [
        point("cifar_resnet20"),
        point("cifar_resnet20", spectrum={"conv1": None, "layer1.0.conv1": 3}),
        point("cifar_resnet20", spectrum={"conv1": {"level": 2}, "layer1.0.conv1": 2}),
    ]
    assert [point_name(each, line) for each in line] == ["spectrum none", "spectrum 3 to full", "spectrum 2"]


def test_values_are_written_as_people_write_them():
    assert [written("level", None), written("pool", None), written("width", 2.0), written("root", "norm")] == [
        "full",
        "none",
        "2",
        "norm",
    ]


def test_a_network_is_described_by_its_arguments_and_by_its_recipe_where_need_is():
    one, two = point("wrn10_1", recipe="brief", dropout=0.3), point("wrn10_1", recipe="long", dropout=0.3)
    assert described(one, [one]) == "wrn10_1, dropout 0.3"
    assert described(one, [one, two]) == "wrn10_1, dropout 0.3, brief"


def test_a_table_has_a_row_a_point_by_size_with_the_front_marked():
    text = shown(
        [point("wrn10_1", 5.0, parameters=2000), point("wrn16_1", 7.5, parameters=3000), point("wrn10_0.5", 9.0)]
    )
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["wrn10_0.5", "1,000", "9.00", "●"],
        ["wrn10_1", "2,000", "5.00", "●"],
        ["wrn16_1", "3,000", "7.50", ""],
    ]
    assert "Error on test images: one" in text


def test_several_seeds_show_their_range_and_several_data_sets_a_table_each():
    text = shown([point("wrn10_1", 5.0, 7.0, 5.5), point("wrn10_1", 3.0, data="two")])
    assert "5.50 │ 5.00 to 7.00 (3) │" in text
    assert text.count("Error on test images") == 2


def test_multiplications_have_a_column_where_they_are_wanted():
    assert "M MAC" not in shown([point("wrn10_1")])
    assert "│   2.5 │" in shown([point("wrn10_1")], counted="macs")


def test_rows_say_the_same_as_json():
    rows = tradeoff_rows([point("wrn10_1", 5.0, 7.0, 6.5, parameters=2000), point("wrn10_0.5", 6.5)])
    assert [(row["architecture"], row["error"], row["front"]) for row in rows] == [
        ("wrn10_0.5", 6.5, True),
        ("wrn10_1", 6.5, False),
    ]
    assert rows[1]["errors"] == (5.0, 7.0, 6.5)
