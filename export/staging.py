"""Folders in which versions are written before they have their name, and what killed publishers left of them.

Torch-free. A repository may lie on a volume that several hosts share, where a process's number says nothing to others.
"""

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path

_DAY_S = 24 * 60 * 60
# Where one number means one process: a start of the kernel, and within it a container's own numbering.
_NUMBERING = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid"))


def open_staging(model_dir: Path, version: int) -> Path:
    """A new hidden folder beside a version's place, whose name says who writes it: `.VERSION.PID.HOST.RANDOM`."""
    return Path(tempfile.mkdtemp(prefix=f".{version}.{os.getpid()}.{_here()}.", dir=model_dir))


def sweep(model_dir: Path, own: Path) -> None:
    """Remove what killed publishers left. own: the caller's staging folder, new, whose age is that volume's present.

    A folder of this host goes when its process is gone. Of others nobody here can know: theirs go when nothing has been
    written in them for a day.
    """
    now = own.stat().st_mtime
    for entry in model_dir.glob(".*.*.*"):
        if entry != own and entry.is_dir() and _left_behind(entry, now):
            shutil.rmtree(entry, ignore_errors=True)


def _left_behind(entry: Path, now: float) -> bool:
    pid, host = [*entry.name.split("."), ""][2:4]
    if host == _here() and pid.isdigit():
        return not _alive(int(pid))
    return now - _last_written(entry) > _DAY_S


def _last_written(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:  # its publisher is at work: just renamed, or just removed
        return float("inf")


def _here() -> str:
    """Names this host and its numbering of processes, the same for every process that shares it."""
    parts = [platform.node(), *(_content(path) for path in _NUMBERING)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _content(path: Path) -> str:
    """What a file holds or a link points to; nothing where the system has none."""
    try:
        return str(path.readlink()) if path.is_symlink() else path.read_text()
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
