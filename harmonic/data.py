"""Labelled images from what people have: a folder or zip of class folders, CIFAR-10/100, MNIST, HAM10000.

Broken data is told at once.

A source may hold splits: sub-folders `train`, `val` or `test`, or a data set's own two parts.
"""

import gzip
import io
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from harmonic.errors import DataError, PixelError
from harmonic.pixels import PixelSpec, prepare, upright_rgb

Split = Literal["train", "test"]
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "val", "valid", "validation"),
}


@dataclass(frozen=True)
class Images:
    """Labelled images, opened one at a time.

    source: where they came from. classes: class names. labels: index of each image's class.
    names: what to call each image in a message. open: the upright RGB image of an index.
    groups: number of the thing that each image shows, where several show the same one; splits keep them together.
    """

    source: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: Sequence[str]
    open: Callable[[int], Image.Image]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: NDArray[np.int64]) -> "Images":
        """The images of these indices, in their order."""
        return replace(
            self,
            labels=self.labels[indices],
            names=[self.names[i] for i in indices],
            open=lambda i: self.open(int(indices[i])),
            groups=None if self.groups is None else self.groups[indices],
        )

    def own_groups(self) -> NDArray[np.int64]:
        """The groups, every image being its own where nothing else is known."""
        return np.arange(len(self)) if self.groups is None else self.groups


def read(paths: Sequence[Path], split: Split) -> Images:
    """Read one split of one or more sources of the same classes; a source without splits is taken whole.

    Raises DataError for what cannot be learned from: nothing there, a single class, classes that differ between
    sources.
    """
    parts = [_read_source(path, split) for path in paths]
    if not parts:
        raise DataError("no data given. Pass --data FOLDER_OR_ZIP.")
    if len({part.classes for part in parts}) > 1:
        raise DataError(
            f"the sources have different classes: {'; '.join(f'{p.source}: {some(p.classes)}' for p in parts)}."
        )
    images = parts[0] if len(parts) == 1 else _joined(parts)
    if len(images.classes) < 2:
        raise DataError(
            f"{images.source} has the single class {images.classes[0]!r}; a classifier needs two class folders or more."
        )
    return images


def has_split(path: Path, split: Split) -> bool:
    """Whether a source says which of its images belong to the split."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")
    if _is_cifar(path) or _is_mnist(path) or _is_ham10000(path):
        return True
    return _split_folder(listing(path), split) is not None


def stratified_split(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the two parts of a random split that takes `share` of every class for the second part."""
    rng = np.random.default_rng(seed)
    second = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == c))[: round(share * int((labels == c).sum()))]
            for c in np.unique(labels)
        ]
    ).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), second), np.sort(second)


def split_by_group(
    labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `stratified_split`, but of whole groups: the second part takes `share` of every class's groups."""
    known, first = np.unique(groups, return_index=True)
    _, second = stratified_split(labels[first], share, seed)
    inside = np.isin(groups, known[second])
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def prepare_all(images: Images, spec: PixelSpec, *, title: str) -> NDArray[np.uint8]:
    """Every image in the model's shape, (N, H, W, C), decoded on all cores with a progress bar; DataError names the
    unreadable ones."""
    prepared = np.empty((len(images), *spec.shape), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:
        outcomes = pool.map(lambda i: _prepare_into(prepared, images, spec, i), range(len(images)))
        problems = [p for p in track(outcomes, description=title, total=len(images), transient=True) if p]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(images)} images cannot be read: {some(problems)}. Remove or repair them."
        )
    return prepared


def _prepare_into(prepared: NDArray[np.uint8], images: Images, spec: PixelSpec, index: int) -> str | None:
    try:
        prepared[index] = prepare(images.open(index), spec)
    except (OSError, SyntaxError, ValueError, PixelError, Image.DecompressionBombError) as error:
        return f"{images.names[index]} ({error})"
    return None


def _joined(parts: Sequence[Images]) -> Images:
    starts = np.cumsum([0] + [len(part) for part in parts])

    def open_image(index: int) -> Image.Image:
        part = int(np.searchsorted(starts, index, side="right")) - 1
        return parts[part].open(index - int(starts[part]))

    return Images(
        " + ".join(part.source for part in parts),
        parts[0].classes,
        np.concatenate([part.labels for part in parts]),
        [name for part in parts for name in part.names],
        open_image,
        _joined_groups(parts),
    )


def _joined_groups(parts: Sequence[Images]) -> NDArray[np.int64] | None:
    """Numbers that no two sources share."""
    if all(part.groups is None for part in parts):
        return None
    starts = np.cumsum([0] + [int(part.own_groups().max(initial=-1)) + 1 for part in parts])
    return np.concatenate([part.own_groups() + start for part, start in zip(parts, starts[:-1], strict=True)])


def _read_source(path: Path, split: Split) -> Images:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")
    if _is_cifar(path):
        return _read_cifar(path, split)
    if _is_mnist(path):
        return _read_mnist(path, split)
    if _is_ham10000(path):
        from harmonic.ham10000 import read_ham10000

        return read_ham10000(path, split)
    return _read_class_folders(path, split)


# --- class folders, on disk or in a zip ---


def listing(path: Path) -> list[PurePosixPath]:
    """Relative paths of all files of a folder or zip, hidden ones left out."""
    if path.is_dir():
        names = [PurePosixPath(p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file()]
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path}: neither a folder nor a readable zip ({error}).") from error
    return sorted(n for n in names if not any(part.startswith((".", "__MACOSX")) for part in n.parts))


def _split_folder(names: list[PurePosixPath], split: Split) -> str | None:
    tops = {name.parts[0] for name in names if len(name.parts) > 2}
    return next((candidate for candidate in _SPLIT_NAMES[split] if candidate in tops), None)


def _read_class_folders(path: Path, split: Split) -> Images:
    names = listing(path)
    if any(_split_folder(names, known) for known in _SPLIT_NAMES):
        folder = _split_folder(names, split)
        if folder is None:
            raise DataError(
                f"{path} is split into folders, but none is for {split}: name one of them {_SPLIT_NAMES[split][0]!r}."
            )
        names = [name for name in names if name.parts[0] == folder]
    pictures = [name for name in names if name.suffix.lower() in _SUFFIXES and len(name.parts) >= 2]
    if not pictures:
        raise DataError(
            f"{path} holds no images in class folders; wanted <class>/<image>, one of {', '.join(sorted(_SUFFIXES))}."
        )
    classes = tuple(sorted({name.parent.name for name in pictures}))
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[name.parent.name] for name in pictures], dtype=np.int64)
    return Images(path.name, classes, labels, [str(name) for name in pictures], opener(path, pictures))


def opener(path: Path, names: Sequence[PurePosixPath]) -> Callable[[int], Image.Image]:
    """What opens the images of these names, in a folder or zip, by their index."""
    if path.is_dir():
        return lambda index: _decoded((path / names[index]).read_bytes())
    contents = _zip_contents(path, names)
    return lambda index: _decoded(contents[index])


def _zip_contents(path: Path, names: Sequence[PurePosixPath]) -> list[bytes]:
    """The packed bytes of every image: zips of pictures are about as large as their content, and threads cannot share
    a reader."""
    with zipfile.ZipFile(path) as archive:
        return [archive.read(str(name)) for name in names]


def _decoded(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return upright_rgb(image)


def _is_ham10000(path: Path) -> bool:
    from harmonic.ham10000 import is_ham10000

    return is_ham10000(path)


# --- data sets that torchvision knows ---


def _is_cifar(path: Path) -> bool:
    return any((path / name).is_dir() for name in ("cifar-10-batches-py", "cifar-100-python"))


def _read_cifar(path: Path, split: Split) -> Images:
    from torchvision.datasets import CIFAR10, CIFAR100

    kind = CIFAR10 if (path / "cifar-10-batches-py").is_dir() else CIFAR100
    try:
        dataset = kind(str(path), train=split == "train", download=False)
    except RuntimeError as error:
        raise DataError(f"{path}: {error}. Its files are incomplete or changed.") from error
    return _from_arrays(f"{kind.__name__} {split}", tuple(dataset.classes), np.asarray(dataset.targets), dataset.data)


# --- MNIST's idx files ---


def _idx_file(path: Path, split: Split, what: str) -> Path | None:
    stem = f"{'train' if split == 'train' else 't10k'}-{what}"
    return next((path / f"{stem}{end}" for end in ("", ".gz") if (path / f"{stem}{end}").is_file()), None)


def _is_mnist(path: Path) -> bool:
    return path.is_dir() and _idx_file(path, "train", "images-idx3-ubyte") is not None


def _read_mnist(path: Path, split: Split) -> Images:
    pixels, labels = _idx_file(path, split, "images-idx3-ubyte"), _idx_file(path, split, "labels-idx1-ubyte")
    if pixels is None or labels is None:
        raise DataError(f"{path} lacks the {split} images or labels of MNIST's four idx files.")
    classes = tuple(str(digit) for digit in range(10))
    return _from_arrays(f"MNIST {split}", classes, _read_idx(labels), _read_idx(pixels))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """An idx file of unsigned bytes: 0, 0, 8, number of dimensions, big-endian sizes, data."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, dimensions = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
        if zeros or kind != 8:
            raise ValueError("not an idx file of bytes")
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DataError(f"{path}: {error}. Take the file from its source again.") from error


def _from_arrays(
    source: str, classes: tuple[str, ...], labels: NDArray[np.generic], pixels: NDArray[np.uint8]
) -> Images:
    if len(labels) != len(pixels):
        raise DataError(f"{source}: {len(pixels)} images but {len(labels)} labels.")
    names = [f"{source} number {i}" for i in range(len(labels))]
    return Images(source, classes, labels.astype(np.int64), names, lambda i: Image.fromarray(pixels[i]).convert("RGB"))


def class_counts(images: Images) -> dict[str, int]:
    """Images of each class, by name."""
    counts = Counter(images.labels.tolist())
    return {name: counts[index] for index, name in enumerate(images.classes)}


def some(items: Sequence[object], shown: int = 5) -> str:
    """The first few items for a message, and how many more there are."""
    rest = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(str(item) for item in items[:shown]) + rest
