"""HAM10000, skin lesions under the dermatoscope: the full data set or a subset of it, split by lesion.

Source: Tschandl, Rosendahl, Kittler, Scientific Data 2018. Images of one lesion are near duplicates, so that a split
by image would measure memory (Abhishek, Jain, Hamarneh, Scientific Data 2025); here no lesion is on both sides.
"""

import csv
import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from harmonic.data.files import files
from harmonic.data.folders import Split, listing
from harmonic.data.images import Images, some, split_by_group
from harmonic.data.openers import opener
from harmonic.data.readers import reader
from harmonic.errors import DataError

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "labels.csv")
_TEST_SHARE, _TEST_SEED = 0.2, 0  # Part of what the data set is here: everyone's test lesions are the same.


def is_ham10000(path: Path) -> bool:
    """Whether a folder or zip has the data set's metadata table at its top."""
    if path.is_dir():
        name = next((name for name in _TABLES if (path / name).is_file()), None)
    else:
        name = _table_name(listing(path)) if zipfile.is_zipfile(path) else None
    # Many a folder has some labels.csv; this one's speaks of lesions.
    if name != _TABLES[-1]:
        return name is not None
    header = _text(path, name).partition("\n")[0]
    return not header or "lesion_id" in header


@reader(is_ham10000)
def read_ham10000(path: Path, split: Split) -> Images:
    """One side of the split by lesion, 4 : 1 within every diagnosis; `groups` of the result are the lesions.

    path: folder or zip with `HAM10000_metadata.csv` (or `labels.csv`) and `<image_id>.jpg` anywhere below.
    Raises DataError for a table that lacks a column, an unknown diagnosis, a lesion with two diagnoses, an image that
    is listed twice or missing.
    """
    files = listing(path)
    rows = _rows(path, files)
    pictures = {name.stem: name for name in files if name.suffix.lower() in (".jpg", ".jpeg")}
    missing = [row["image_id"] for row in rows if row["image_id"] not in pictures]
    if missing:
        raise DataError(f"{path}: {len(missing)} images of the table are not there: {some(missing)}. Unpack all parts.")
    labels = np.array([CLASSES.index(row["dx"]) for row in rows], dtype=np.int64)
    lesions = np.unique([row["lesion_id"] for row in rows], return_inverse=True)[1].astype(np.int64)
    training, test = split_by_group(labels, lesions, _TEST_SHARE, _TEST_SEED)
    part = training if split == "train" else test
    names = [rows[i]["image_id"] for i in part]
    opened = opener(path, [pictures[name] for name in names])
    unnamed = len(pictures) - len(rows)
    return Images(
        f"{path.name} {split}",
        CLASSES,
        labels[part],
        names,
        opened,
        groups=lesions[part],
        left_out={"images that the table does not name": unnamed} if unnamed else {},
    )


def _rows(path: Path, files: list[PurePosixPath]) -> list[dict[str, str]]:
    name = _table_name(files)
    if name is None:
        raise DataError(f"{path} has none of {', '.join(_TABLES)}.")
    rows = list(csv.DictReader(io.StringIO(_text(path, name))))
    absent = {"image_id", "lesion_id", "dx"} - set(rows[0] if rows else ())
    if absent:
        raise DataError(f"{path}/{name} has no rows, or lacks the columns {sorted(absent)}.")
    _check(f"{path}/{name}", rows)
    return sorted(rows, key=lambda row: row["image_id"])


def _check(source: str, rows: list[dict[str, str]]) -> None:
    diagnosis: dict[str, str] = {}
    seen: set[str] = set()
    for row in rows:
        image, lesion, dx = row["image_id"], row["lesion_id"], row["dx"]
        if dx not in CLASSES:
            raise DataError(f"{source}: {image} has the diagnosis {dx!r}; known are {', '.join(CLASSES)}.")
        if image in seen:
            raise DataError(f"{source}: {image} is listed twice.")
        if diagnosis.setdefault(lesion, dx) != dx:
            raise DataError(f"{source}: lesion {lesion} has two diagnoses, {diagnosis[lesion]} and {dx}.")
        seen.add(image)


def _table_name(files: list[PurePosixPath]) -> str | None:
    return next((name for name in _TABLES if PurePosixPath(name) in files), None)


def _text(path: Path, name: str) -> str:
    try:
        if path.is_dir():
            return (path / name).read_text(encoding="utf-8-sig")
        with zipfile.ZipFile(path) as archive:
            return archive.read(files(path).names[PurePosixPath(name)]).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}/{name}: cannot be read ({error}).") from error
