import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100, STL10

from harmonic import data
from harmonic.errors import DataError

DIGITS = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(params=["", ".gz"])
def mnist(request, tmp_path):
    """A small data set in MNIST's files, packed or not, with one file written otherwise."""
    pack = gzip.compress if request.param else bytes

    def write(**changed):
        contents = {
            "train-images-idx3-ubyte": idx(DIGITS),
            "train-labels-idx1-ubyte": idx(LABELS),
            "t10k-images-idx3-ubyte": idx(DIGITS[:10]),
            "t10k-labels-idx1-ubyte": idx(LABELS[:10]),
        }
        for stem, content in {**contents, **{k.replace("_", "-"): v for k, v in changed.items()}}.items():
            if content is not None:
                (tmp_path / f"{stem}{request.param}").write_bytes(pack(content))
        return tmp_path

    return write


def test_both_parts_of_mnist_are_read(mnist):
    folder = mnist()
    assert data.has_split(folder, "train")
    assert data.has_split(folder, "test")
    assert not data.has_split(folder, "val")
    train, test = data.read([folder], "train"), data.read([folder], "test")
    assert (len(train), len(test)) == (20, 10)
    assert train.classes == tuple("0123456789")
    assert train.labels.tolist() == LABELS.tolist()
    assert np.array_equal(np.asarray(train.open(7))[:, :, 1], DIGITS[7])


def test_mnist_has_no_validation_part(mnist):
    with pytest.raises(DataError, match="no validation images"):
        data.read([mnist()], "val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "requires a buffer|unpack"),
        (b"\x00\x00\x08", "requires a buffer|unpack"),
        (idx(DIGITS)[:-1], "its header says 15680"),
        (idx(DIGITS) + b"x", "its header says 15680"),
        (idx(DIGITS)[:10], "requires a buffer|unpack"),
        (idx(DIGITS, kind=9), "not an idx file of bytes"),
        (b"\x00\x01" + idx(DIGITS)[2:], "not an idx file"),
        (idx(LABELS), "in 3 dimensions"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "its header says"),
        (idx(DIGITS[:19]), "19 images but 20 labels"),
    ],
)
def test_a_damaged_image_file_is_told(mnist, content, message):
    with pytest.raises(DataError, match=message):
        data.read([mnist(train_images_idx3_ubyte=content)], "train")


def test_a_label_beyond_nine_is_told(mnist):
    with pytest.raises(DataError, match="label 77"):
        data.read([mnist(train_labels_idx1_ubyte=idx(np.full(20, 77, np.uint8)))], "train")


@pytest.mark.parametrize("missing", ["train_labels_idx1_ubyte", "train_images_idx3_ubyte"])
def test_a_missing_file_is_told(mnist, missing):
    with pytest.raises(DataError, match="lacks the train images or labels"):
        data.read([mnist(**{missing: None})], "train")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw[:12], lambda raw: raw[:60] + bytes(40)])
def test_a_damaged_gzip_is_told(tmp_path, damage):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(damage(gzip.compress(idx(DIGITS))))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: .*source again"):
        data.read([tmp_path], "train")


@pytest.fixture(params=[CIFAR10, CIFAR100])
def cifar(request, tmp_path, monkeypatch):
    """Two pictures a file in CIFAR's layout; torchvision is told their checksums."""
    kind, label = request.param, {CIFAR10: "labels", CIFAR100: "fine_labels"}[request.param]
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    names = {"train_list": [name for name, _ in kind.train_list], "test_list": [name for name, _ in kind.test_list]}
    for attribute, files in names.items():
        sums = []
        for number, name in enumerate(files):
            rows = np.full((2, 3072), number, np.uint8)
            rows[:, :1024] = 200  # channel by channel: this is the red one
            (folder / name).write_bytes(pickle.dumps({"data": rows, label: [0, 1]}))
            sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
        monkeypatch.setattr(kind, attribute, sums)
    classes = [f"class {index}" for index in range(10 if kind is CIFAR10 else 100)]
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: classes}))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": hashlib.md5(meta.read_bytes()).hexdigest()})
    return tmp_path, folder, kind


def test_cifar_is_read_as_torchvision_lays_it_out(cifar):
    root, _, kind = cifar
    train, test = data.read([root], "train"), data.read([root], "test")
    assert (len(train), len(test)) == (2 * len(kind.train_list), 2)
    assert len(train.classes) == (10 if kind is CIFAR10 else 100)
    assert train.labels.tolist() == [0, 1] * len(kind.train_list)
    assert train.open(0).getpixel((5, 5)) == (200, 0, 0)
    assert data.has_split(root, "test")
    assert not data.has_split(root, "val")


def test_a_changed_cifar_file_is_never_unpickled(cifar, tmp_path):
    root, folder, kind = cifar
    (folder / kind.train_list[0][0]).write_bytes(pickle.dumps(Witness()))
    with pytest.raises(DataError, match="incomplete or changed"):
        data.read([root], "train")
    assert not Witness.seen


class Witness:
    seen = False

    def __reduce__(self):
        return (setattr, (Witness, "seen", True))


def test_a_missing_cifar_file_is_told(cifar):
    root, folder, kind = cifar
    (folder / kind.test_list[0][0]).unlink()
    with pytest.raises(DataError, match="incomplete or changed"):
        data.read([root], "test")


class UncheckedSTL10(STL10):
    """torchvision's reader, without its checksums of the two gigabytes of the real files."""

    def _check_integrity(self):
        return True


@pytest.fixture
def stl10(tmp_path):
    """A small data set in STL-10's files, with one of them written otherwise."""
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    rng = np.random.default_rng(1)

    def write(**changed):
        contents = {
            "train_X.bin": rng.integers(0, 256, (20, 3, 96, 96), dtype=np.uint8).tobytes(),
            "train_y.bin": (np.arange(20) % 10 + 1).astype(np.uint8).tobytes(),
            "test_X.bin": rng.integers(0, 256, (10, 3, 96, 96), dtype=np.uint8).tobytes(),
            "test_y.bin": (np.arange(10) % 10 + 1).astype(np.uint8).tobytes(),
            "class_names.txt": b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n",
            "fold_indices.txt": b"0 1 2 3 4 \n5 6 7 19 \n",
        }
        for name, content in {
            **contents,
            **{k.replace("_txt", ".txt").replace("_bin", ".bin"): v for k, v in changed.items()},
        }.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_bytes(content)
        return tmp_path

    return write


@pytest.mark.parametrize("split", ["train", "test"])
def test_stl10_is_read_as_torchvision_reads_it(stl10, split):
    root = stl10()
    wanted, images = UncheckedSTL10(str(root), split=split), data.read([root], split)
    assert len(images) == len(wanted)
    assert images.classes == tuple(wanted.classes)
    for index in (0, 7, len(wanted) - 1):
        picture, label = wanted[index]
        assert np.array_equal(np.asarray(images.open(index)), np.asarray(picture))
        assert images.labels[index] == label


def test_stl10_knows_its_folds(stl10):
    root = stl10()
    images = data.read([root / "stl10_binary"], "train")
    assert [fold.tolist() for fold in images.folds] == [[0, 1, 2, 3, 4], [5, 6, 7, 19]]
    second = images.fold(1)
    assert second.labels.tolist() == [5, 6, 7, 9]
    assert np.array_equal(np.asarray(second.open(3)), np.asarray(images.open(19)))
    assert data.has_split(root, "test")
    assert not data.has_split(root, "val")
    assert not data.read([root], "test").folds


def test_stl10_without_folds_is_read_whole(stl10):
    assert not data.read([stl10(fold_indices_txt=None)], "train").folds


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_X_bin": b""}, "cannot be read"),
        ({"train_X_bin": bytes(27648 * 20 - 1)}, "552959 bytes; 20 labels want 27648 each"),
        ({"train_y_bin": None}, "cannot be read"),
        ({"train_y_bin": bytes(20)}, "labels from 0 to 0"),
        ({"train_y_bin": bytes([11] * 20)}, "labels from 11 to 11"),
        ({"train_y_bin": b""}, "0 labels want"),
        ({"fold_indices_txt": b"1 2 x\n"}, "wanted a line of numbers"),
        ({"fold_indices_txt": b"0 1\n3 20\n"}, "fold 1 names images outside 0 to 19"),
        ({"fold_indices_txt": b"-1 1\n"}, "fold 0 names images outside"),
        ({"fold_indices_txt": b"\xff\xfe"}, "wanted a line of numbers"),
    ],
)
def test_damaged_files_of_stl10_are_told(stl10, changed, message):
    with pytest.raises(DataError, match=message):
        data.read([stl10(**changed)], "train")
