"""The HAM10000 reader: both layouts, a split that no lesion crosses, and tables that cannot be right."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harmonic import data
from harmonic.errors import DataError

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


def rows(lesions: int = 10) -> list[dict[str, str]]:
    """Every diagnosis has the same number of lesions; every other lesion has two images."""
    found = []
    for number in range(lesions * 7):
        dx = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")[number % 7]
        for view in range(1 + number % 2):
            image = f"ISIC_{2 * number + view:07}"
            found.append(dict(zip(COLUMNS, (f"HAM_{number:07}", image, dx, "histo", "", "male", "back"), strict=True)))
    return found


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 9), "pink").save(buffer, "JPEG")
    return buffer.getvalue()


def full_layout(folder: Path, table: list[dict[str, str]]) -> Path:
    write_table(folder / "HAM10000_metadata.csv", table)
    for index, row in enumerate(table):
        part = folder / f"HAM10000_images_part_{1 + index % 2}"
        part.mkdir(exist_ok=True)
        (part / f"{row['image_id']}.jpg").write_bytes(jpeg())
    return folder


def write_table(path: Path, table: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)


def subset_zip(folder: Path, table: list[dict[str, str]]) -> Path:
    write_table(folder / "labels.csv", table)
    with zipfile.ZipFile(folder / "subset.zip", "w") as archive:
        archive.write(folder / "labels.csv", "labels.csv")
        for row in table:
            archive.writestr(f"images/{row['image_id']}.jpg", jpeg())
    return folder / "subset.zip"


@pytest.mark.parametrize("layout", [full_layout, subset_zip])
def test_both_layouts_are_read_whole(layout, tmp_path):
    path = layout(tmp_path, rows())

    training, test = data.read([path], "train"), data.read([path], "test")

    assert len(training) + len(test) == len(rows())
    assert training.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert training.open(0).size == (12, 9)
    assert data.has_split(path, "test")


def test_no_lesion_is_on_both_sides_and_every_class_is_divided_alike(tmp_path):
    path = full_layout(tmp_path, rows())
    lesion = {row["image_id"]: row["lesion_id"] for row in rows()}

    training, test = data.read([path], "train"), data.read([path], "test")

    sides = [{lesion[name] for name in side.names} for side in (training, test)]
    assert not sides[0] & sides[1]
    assert [len(side) for side in sides] == [56, 14]
    assert set(test.labels.tolist()) == set(range(7))
    assert data.read([path], "test").names == test.names


def test_a_validation_split_keeps_lesions_together(tmp_path):
    training = data.read([full_layout(tmp_path, rows())], "train")

    first, second = data.split_by_group(training.labels, training.own_groups(), 0.25, seed=3)

    assert not set(training.groups[first]) & set(training.groups[second])
    assert sorted(np.concatenate([first, second])) == list(range(len(training)))


def test_labels_follow_the_names_and_not_the_order_of_the_table(tmp_path):
    table = rows()
    training = data.read([full_layout(tmp_path, table[::-1])], "train")
    dx = {row["image_id"]: row["dx"] for row in table}

    assert [training.classes[label] for label in training.labels] == [dx[name] for name in training.names]


def changed(**values: str) -> list[dict[str, str]]:
    table = rows(2)
    table[1] = {**table[1], **values}
    return table


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (changed(dx="wart"), "'wart'"),
        (changed(image_id="ISIC_0000000"), "listed twice"),
        (changed(lesion_id="HAM_0000000"), "two diagnoses"),
        ([{"image_id": "a", "dx": "nv"}], "lesion_id"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(table, complaint, tmp_path):
    path = full_layout(tmp_path, table)

    with pytest.raises(DataError, match=complaint):
        data.read([path], "train")


def test_a_missing_image_is_named(tmp_path):
    path = full_layout(tmp_path, rows())
    next(path.glob("*part_2/*.jpg")).unlink()

    with pytest.raises(DataError, match="1 images of the table are not there: ISIC"):
        data.read([path], "train")


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("")

    with pytest.raises(DataError, match="no rows"):
        data.read([tmp_path], "train")
