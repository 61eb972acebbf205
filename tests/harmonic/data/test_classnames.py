"""Class names are read from what people have: lines, CSV, as spreadsheets write it."""

import pytest

from harmonic.data.classnames import read_classes
from harmonic.errors import DataError


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(tmp_path / name)

    return write


def test_without_a_file_classes_are_numbers():
    assert read_classes(None, 3) == ("0", "1", "2")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "cat\nHund\nねこ\n"),
        ("a.txt", "\ufeffcat\r\n\r\n  Hund \r\nねこ"),
        ("a.csv", "index,name\n0,cat\n1,Hund\n2,ねこ\n"),
        ("a.csv", "\ufeffname,index\r\ncat,0\r\nHund,1\r\nねこ,2\r\n"),
        ("a.CSV", 'label\n"cat"\nHund\nねこ\n'),
        ("a.csv", "id,name\n0,cat\n1,Hund,extra\n2,ねこ\n"),
    ],
)
def test_names_come_in_the_order_of_the_file(file, name, content):
    assert read_classes(file(name, content), 3) == ("cat", "Hund", "ねこ")


def test_quoted_names_keep_their_commas(file):
    assert read_classes(file("a.csv", 'name\n"crane, bird"\n"crane, machine"\n'), 2) == (
        "crane, bird",
        "crane, machine",
    )


def test_a_name_that_comes_again_gets_its_number(file):
    assert read_classes(file("a.txt", "crane\nmaillot\ncrane\nmaillot\n"), 4) == (
        "crane",
        "maillot",
        "crane (2)",
        "maillot (3)",
    )


def test_a_name_that_its_number_does_not_set_apart_is_told(file):
    with pytest.raises(DataError, match=r"'crane \(1\)' stands more than once"):
        read_classes(file("a.txt", "crane\ncrane\ncrane (1)\n"), 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "cat\ndog\n", "has 2 class names; the network answers 3"),
        ("a.txt", "", "has 0 class names"),
        ("a.csv", "", "has 0 class names"),
        ("a.csv", "name\n", "has 0 class names"),
        ("a.csv", "id,name\n0,cat\n1\n2,dog\n", "has 2 class names"),
        ("a.txt", b"cat\n\xff\xfe\ndog\n", "cannot be read as class names"),
        ("a.csv", "name\n" + "x" * 200_000 + "\ncat\ndog\n", "cannot be read as class names"),
    ],
)
def test_a_file_that_does_not_fit_is_told(file, name, content, message):
    with pytest.raises(DataError, match=message):
        read_classes(file(name, content), 3)


@pytest.mark.parametrize("name", ["nowhere.txt", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read as class names"):
        read_classes(str(tmp_path / name), 3)
