"""A version is whole or absent, and never overwritten."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.errors import RepositoryError
from export.repository import model_names, publishing, versions


def _publish(root: Path, name: str = "net", version: int | None = None, text: str = "x") -> int:
    with publishing(root, name, version) as (folder, number):
        (folder / "file").write_text(text)
    return number


def test_versions_count_up_and_keep_their_content(tmp_path: Path) -> None:
    assert [_publish(tmp_path), _publish(tmp_path), _publish(tmp_path, version=7), _publish(tmp_path)] == [1, 2, 7, 8]
    assert versions(tmp_path, "net") == [1, 2, 7, 8]
    assert (tmp_path / "net" / "7" / "file").read_text() == "x"


def test_an_existing_version_is_never_overwritten(tmp_path: Path) -> None:
    _publish(tmp_path, version=3, text="first")
    with pytest.raises(RepositoryError, match="never overwritten"):
        _publish(tmp_path, version=3, text="second")
    assert (tmp_path / "net" / "3" / "file").read_text() == "first"


def test_a_version_that_appears_meanwhile_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="another export"), publishing(tmp_path, "net", 1) as (folder, _):
        (folder / "file").write_text("late")
        _publish(tmp_path, version=1, text="early")
    assert (tmp_path / "net" / "1" / "file").read_text() == "early"


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), publishing(tmp_path, "net") as (folder, _):
        (folder / "file").write_text("half")
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def _killed(root: Path) -> Path:
    """What a publisher that was killed leaves behind."""
    program = (
        "import os, signal, sys; from pathlib import Path; from export.repository import publishing\n"
        "with publishing(Path(sys.argv[1]), 'net') as (folder, _):\n"
        "    (folder / 'file').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, root], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert versions(root, "net") == []
    (left,) = (root / "net").iterdir()
    return left


def _entries(root: Path) -> list[str]:
    return sorted(entry.name for entry in (root / "net").iterdir())


def test_a_killed_export_leaves_no_version_and_the_next_one_clears_up(tmp_path: Path) -> None:
    _killed(tmp_path)
    _publish(tmp_path)
    assert _entries(tmp_path) == ["1"]


def _of_another_host(left: Path) -> Path:
    """The folder as a publisher on another host would have named it, whose process has that number there."""
    version, pid, host, chance = left.name.removeprefix(".").split(".")
    return left.rename(left.with_name(f".{version}.{pid}.{host[::-1]}.{chance}"))


def test_a_publisher_on_another_host_is_not_swept_away_although_its_process_is_not_here(tmp_path: Path) -> None:
    theirs = _of_another_host(_killed(tmp_path))
    _publish(tmp_path)
    assert _entries(tmp_path) == sorted([theirs.name, "1"])
    assert (theirs / "file").read_text() == "half"


@pytest.mark.parametrize(("hours", "stays"), [(20, True), (30, False)])
def test_what_another_host_left_is_removed_a_day_after_its_last_file(tmp_path: Path, hours: int, stays: bool) -> None:
    theirs = _of_another_host(_killed(tmp_path))
    written = time.time() - hours * 3600
    os.utime(theirs / "file", (written, written))
    os.utime(theirs, (written - 1e6, written - 1e6))
    _publish(tmp_path)
    assert theirs.exists() == stays


def test_what_an_older_build_left_is_removed_after_a_day_too(tmp_path: Path) -> None:
    (old := tmp_path / "net" / ".1.999999.abcdefgh").mkdir(parents=True)
    _publish(tmp_path)
    assert old.exists()
    os.utime(old, (1, 1))
    _publish(tmp_path)
    assert _entries(tmp_path) == ["1", "2"]


def test_a_publisher_at_work_is_not_swept_away(tmp_path: Path) -> None:
    with publishing(tmp_path, "net", 5) as (folder, _):
        (folder / "file").write_text("mine")
        _publish(tmp_path, version=1)
    assert versions(tmp_path, "net") == [1, 5]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", ".hidden", "-flag", "a b", "x" * 101, "new\nline", "end\n"]
)
def test_names_that_could_leave_the_repository_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RepositoryError, match="cannot be a model's name"):
        _publish(tmp_path, name=name)
    with pytest.raises(RepositoryError):
        versions(tmp_path, name)


def test_strange_entries_are_no_models_and_no_versions(tmp_path: Path) -> None:
    _publish(tmp_path)
    for stray in ("net/01", "net/0", "net/latest", "net/-1", ".git", "sp ace"):
        (tmp_path / stray).mkdir()
    (tmp_path / "README").write_text("not a folder")
    assert model_names(tmp_path) == ["net"]
    assert versions(tmp_path, "net") == [1]


def test_a_missing_repository_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="harmonic export"):
        model_names(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_repository_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RepositoryError, match="net: cannot be written"):
        _publish(tmp_path)


def test_a_repository_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RepositoryError, match="net: cannot be written: Not a directory"):
        _publish(tmp_path / "file")
