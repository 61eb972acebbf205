"""Data sets in the files of their authors: CIFAR-10, CIFAR-100 and STL-10 as torchvision lays them out, MNIST's idx
files."""

import gzip
import struct
import zlib
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harmonic.data.folders import Split
from harmonic.data.images import Images
from harmonic.data.readers import reader
from harmonic.errors import DataError

_IDX = {"train": "train", "test": "t10k"}
_STL10_SIDE = 96
_STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def is_cifar(path: Path) -> bool:
    """Whether a folder holds CIFAR-10's or CIFAR-100's folder of batches."""
    return any((path / name).is_dir() for name in ("cifar-10-batches-py", "cifar-100-python"))


def is_mnist(path: Path) -> bool:
    """Whether a folder holds idx files of MNIST."""
    return any(_idx_file(path, split, what) for split in _IDX for what in ("images-idx3", "labels-idx1"))


def is_stl10(path: Path) -> bool:
    """Whether a folder holds STL-10's binary files, or the folder of them."""
    return (_stl10_folder(path) / "train_X.bin").is_file() or (_stl10_folder(path) / "test_X.bin").is_file()


@reader(is_cifar)
def read_cifar(path: Path, split: Split) -> Images:
    """One part of CIFAR. torchvision compares the MD5 of every file before it opens one."""
    from torchvision.datasets import CIFAR10, CIFAR100

    kind = CIFAR10 if (path / "cifar-10-batches-py").is_dir() else CIFAR100
    try:
        dataset = kind(str(path), train=split == "train", download=False)
    except RuntimeError as error:
        raise DataError(
            f"{path}: the files of {kind.__name__} are incomplete or changed. Take them from their source again."
        ) from error
    return _from_arrays(f"{kind.__name__} {split}", tuple(dataset.classes), np.asarray(dataset.targets), dataset.data)


@reader(is_mnist)
def read_mnist(path: Path, split: Split) -> Images:
    """One part of MNIST, or of any data set of ten digits in its files."""
    files = [_idx_file(path, split, what) for what in ("images-idx3", "labels-idx1")]
    if None in files:
        raise DataError(f"{path} lacks the {split} images or labels of MNIST's four idx files.")
    pixels, labels = (_read_idx(file, dimensions) for file, dimensions in zip(files, (3, 1), strict=True) if file)
    if labels.size and labels.max() > 9:
        raise DataError(f"{files[1]}: label {labels.max()}; MNIST's are 0 to 9.")
    return _from_arrays(f"MNIST {split}", tuple(str(digit) for digit in range(10)), labels, pixels)


@reader(is_stl10)
def read_stl10(path: Path, split: Split) -> Images:
    """One part of STL-10; the training images know the ten folds of 1,000 that the data set defines.

    Images stay on disk: every byte column by column, red, green, blue. Labels are bytes from 1. The unlabelled images
    are not read. Raises DataError for files that are missing or do not fit each other.
    """
    folder = _stl10_folder(path)
    image_file, label_file = folder / f"{split}_X.bin", folder / f"{split}_y.bin"
    try:
        labels = np.fromfile(label_file, np.uint8)
        stored = np.memmap(image_file, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: the {split} files of STL-10 cannot be read ({error}).") from error
    image_bytes = 3 * _STL10_SIDE**2
    if stored.size != image_bytes * len(labels):
        raise DataError(f"{image_file} has {stored.size} bytes; {len(labels)} labels want {image_bytes} each.")
    if labels.min() < 1 or labels.max() > len(_STL10_CLASSES):
        raise DataError(f"{label_file}: labels from {labels.min()} to {labels.max()}; STL-10's are 1 to 10.")
    pixels = stored.reshape(-1, 3, _STL10_SIDE, _STL10_SIDE).transpose(0, 3, 2, 1)
    images = _from_arrays(f"STL-10 {split}", _STL10_CLASSES, labels - 1, pixels)
    return replace(images, folds=_stl10_folds(folder / "fold_indices.txt", len(labels)) if split == "train" else ())


def _stl10_folds(path: Path, images: int) -> tuple[NDArray[np.int64], ...]:
    """One fold a line: indices of training images, from 0; none where the file is not there."""
    try:
        lines = path.read_text().splitlines() if path.exists() else []
        folds = tuple(np.unique(np.array(line.split(), dtype=np.int64)) for line in lines if line.strip())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: wanted a line of numbers for each fold ({error}).") from error
    for number, fold in enumerate(folds):
        if fold[0] < 0 or fold[-1] >= images:
            raise DataError(f"{path}: fold {number} names images outside 0 to {images - 1}.")
    return folds


def _stl10_folder(path: Path) -> Path:
    inner = path / "stl10_binary"
    return inner if inner.is_dir() else path


def _idx_file(path: Path, split: str, what: str) -> Path | None:
    stem = f"{_IDX.get(split, split)}-{what}-ubyte"
    return next((path / f"{stem}{end}" for end in ("", ".gz") if (path / f"{stem}{end}").is_file()), None)


def _read_idx(path: Path, wanted: int) -> NDArray[np.uint8]:
    """An idx file of unsigned bytes: 0, 0, 8, number of dimensions, big-endian sizes, data."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, dimensions = struct.unpack(">HBB", raw[:4])
        if (zeros, kind, dimensions) != (0, 8, wanted):
            raise ValueError(f"not an idx file of bytes in {wanted} dimensions")
        shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
        data = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
        if data.size != prod(shape):
            raise ValueError(f"{data.size} bytes of data, its header says {prod(shape)}")
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{path}: {error}. Take the file from its source again.") from error
    return data.reshape(shape)


@dataclass(frozen=True)
class _ArrayOpener:
    pixels: NDArray[np.uint8]

    def __call__(self, index: int) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(self.pixels[index])).convert("RGB")

    def digest(self, index: int) -> bytes:
        return blake2b(self.pixels[index].tobytes(), digest_size=16).digest()


def _from_arrays(
    source: str, classes: tuple[str, ...], labels: NDArray[np.generic], pixels: NDArray[np.uint8]
) -> Images:
    if len(labels) != len(pixels) or not len(labels):
        raise DataError(f"{source}: {len(pixels)} images but {len(labels)} labels.")
    names = [f"{source} number {i}" for i in range(len(labels))]
    return Images(source, classes, labels.astype(np.int64), names, _ArrayOpener(pixels))
