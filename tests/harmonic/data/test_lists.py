"""Tables of images: what people write, and what they get wrong."""

from csv import reader
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harmonic.data import has_split, read
from harmonic.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name, level in (("a", 10), ("b", 20), ("c", 30), ("d d", 40)):
        Image.new("RGB", (4, 4), (level, level, level)).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


def table(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def levels(path: Path, split: str = "train") -> list[tuple[int, str]]:
    images = read([path], split)
    return [(int(np.asarray(images.open(i)).max()), images.classes[images.labels[i]]) for i in range(len(images))]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nphotos/a.png,cat\nphotos/b.png,dog\nphotos/d d.png,cat\n",
        "photos/a.png,cat\nphotos/b.png,dog\nphotos/d d.png,cat",
        "\ufeffClass;Image\r\ncat;photos/a.png\r\ndog;photos\\b.png\r\ncat;photos/d d.png\r\n\r\n",
        'file\tlabel\tnote\nphotos/a.png\tcat\tx\n"photos/b.png"\tdog\n photos/d d.png \t cat \t',
    ],
)
def test_a_table_is_read_however_it_is_written(folder, text):
    assert levels(table(folder, text)) == [(10, "cat"), (20, "dog"), (40, "cat")]
    assert not has_split(folder / "list.csv", "test")
    assert not has_split(folder / "list.csv", "val")


def test_what_is_quoted_may_hold_ends_of_lines_and_those_of_unicode_end_none(folder):
    rows = 'path,label,note\nphotos/a.png,"a\u2028cat","two\nlines"\nphotos/b.png,dog\x85,\n'
    assert levels(table(folder, rows)) == [(10, "a\u2028cat"), (20, "dog")]


def test_paths_may_be_absolute(folder):
    lines = "".join(f"{folder / 'photos' / name}.png,{name}\n" for name in "ab")
    (folder / "lists").mkdir()
    assert levels(table(folder / "lists", lines)) == [(10, "a"), (20, "b")]


def test_splits_and_groups_are_kept_apart(folder):
    rows = [
        "path,label,split,group",
        "photos/a.png,cat,train,1",
        "photos/b.png,dog,Training,1",
        "photos/c.png,cat,val,2",
    ]
    path = table(folder, "\n".join([*rows, "photos/d d.png,dog,val,"]))
    assert levels(path) == [(10, "cat"), (20, "dog")]
    assert levels(path, "val") == levels(path, "test") == [(30, "cat"), (40, "dog")]
    assert (has_split(path, "val"), has_split(path, "test")) == (True, False)
    assert read([path], "train").groups.tolist() == [0, 0]
    assert len(set(read([path], "val").groups)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a row is path,label"),
        ("path,label\n", "names no image"),
        ("name,kind\nphotos/a.png,cat\n", "the columns name, kind are no path and label"),
        ("photos/a.png\n", "the columns photos/a.png are no path and label"),
        ("path,label\nphotos/a.png,\n", "line 2: no label"),
        ("path,label\n,cat\n", "line 2: no path"),
        ("path,label\nphotos/a.png,cat\nphotos/z.png,dog\n", "line 3: photos/z.png is no file"),
        ("path,label\nphotos,cat\n", "line 2: photos is no file"),
        ("path,label\nphotos/a.png,cat\nphotos/../photos/a.png,dog\n", "more than once"),
        ("path,label,split\nphotos/a.png,cat,holdout\n", "'holdout' is no split"),
        ("path,label,split\nphotos/a.png,cat,test\n", "names no images for train"),
        ("path,label\nphotos/a.png,cat\nphotos/b.png,cat\n", "single class"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder, text, message):
    with pytest.raises(DataError, match=message):
        read([table(folder, text)], "train")


def test_a_file_that_is_no_text_is_told(folder):
    (folder / "list.csv").write_bytes(b"path,label\n\xff\xfe\x00,cat\n")
    with pytest.raises(DataError, match="cannot be read as CSV in UTF-8"):
        read([folder / "list.csv"], "train")


def test_a_table_is_parsed_once_for_all_its_splits_and_again_where_it_was_changed(folder, monkeypatch):
    rows = ["path,label,split", "photos/a.png,cat,train", "photos/b.png,dog,train"]
    rows += ["photos/c.png,cat,test", "photos/b.png,dog,test"]
    path = table(folder, "\n".join(rows))
    parsed = []
    monkeypatch.setattr("csv.reader", lambda *given, **named: parsed.append(1) or reader(*given, **named))
    assert levels(path) == [(10, "cat"), (20, "dog")]
    assert levels(path, "test") == [(30, "cat"), (20, "dog")]
    assert has_split(path, "test")
    assert parsed == [1]
    table(folder, "\n".join([*rows, "photos/d d.png,dog,test"]))
    assert levels(path, "test") == [(30, "cat"), (20, "dog"), (40, "dog")]
    assert parsed == [1, 1]
