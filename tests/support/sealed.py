"""Run a command that the kernel ends with SIGSYS as soon as any of it, native code included, calls somebody.

    python tests/support/sealed.py client COMMAND ...     may open no internet socket at all
    python tests/support/sealed.py server COMMAND ...     may listen and answer, and open no connection

Names are asked for by datagram sockets. Sockets of the machine itself (AF_UNIX) are free for clients: the C library
looks for a daemon that knows users. Linux, and no privilege is wanted.
"""

import ctypes
import os
import platform
import shutil
import struct
import sys

_MACHINES = {"x86_64": (0xC000003E, 42, 41), "aarch64": (0xC00000B7, 203, 198)}  # audit's name, connect, socket
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06  # classic BPF: ld [k]; jeq k; and k; ret k
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NR, _ARCH, _DOMAIN, _TYPE = 0, 4, 16, 24  # offsets in struct seccomp_data
_INET, _INET6, _STREAM = 2, 10, 1
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2


def possible() -> bool:
    """True if this machine can be told so."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def _program(serves: bool) -> list[tuple[int, int, int, int]]:
    """Instructions: operation, steps forward if equal, steps forward if not, operand."""
    machine, connect, socket = _MACHINES[platform.machine()]
    return [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 0, 10, machine),
        (_LOAD, 0, 0, _NR),
        (_EQUAL, 7 if serves else 8, 0, connect),
        (_EQUAL, 0, 7, socket),
        (_LOAD, 0, 0, _DOMAIN),
        (_EQUAL, 1, 0, _INET),
        (_EQUAL, 0, 4, _INET6),
        (_LOAD, 0, 0, _TYPE),
        (_AND, 0, 0, 0xF),
        (_EQUAL, 1 if serves else 0, 0, _STREAM),
        (_RETURN, 0, 0, _KILL),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _seal(serves: bool) -> None:
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _program(serves))
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HL", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVS, 1, 0, 0, 0), (_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(argument) for argument in arguments)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    role, command = sys.argv[1], sys.argv[2:]
    _seal({"client": False, "server": True}[role])
    os.execv(shutil.which(command[0]) or command[0], command)
