"""Takes away from this process what Python does not have on Windows. Import it before the engine.

Nothing here is Windows: the files and their locks are Linux's. `msvcrt.locking` stands in for Windows' own, with locks
of the same kind: of a range of bytes, held by an open file, for one holder alone. As there, nothing that is open or
mapped is renamed, replaced or removed, and no folder opened.
"""

import asyncio  # noqa: F401  as built for Linux, these need what is taken away
import ctypes
import mmap
import os
import shutil
import signal
import socket
import subprocess  # noqa: F401
import sys
import types
from pathlib import Path

import numpy as np  # noqa: F401

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
# With "Availability: Unix" in Python's documentation, of what the engine could have use for.
NAMES = {
    os: (
        *("fork", "forkpty", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sched_yield", "getloadavg"),
        *(
            "pread",
            "preadv",
            "pwrite",
            "pwritev",
            "readv",
            "writev",
            "fdatasync",
            "fchmod",
            "fchown",
            "chown",
            "lchown",
        ),
        *("statvfs", "fstatvfs", "sysconf", "sysconf_names", "pathconf", "uname", "mkfifo", "mknod", "lockf"),
        *("posix_fadvise", "posix_fallocate", "getuid", "geteuid", "getgid", "getegid", "setuid", "getpgid", "killpg"),
        *("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_SYNC", "O_DSYNC", "sendfile", "memfd_create"),
    ),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGXFSZ", "SIGCHLD", "pthread_sigmask"),
    socket: ("AF_UNIX", "SO_REUSEPORT", "socketpair"),
    mmap: ("MAP_SHARED", "MAP_PRIVATE", "PROT_READ", "PROT_WRITE", "MADV_RANDOM", "MADV_WILLNEED", "MADV_DONTNEED"),
}
_LOCK, _UNLOCK = 2, 0  # msvcrt.LK_NBLCK, LK_UNLCK
_OFD_SETLK, _F_WRLCK, _F_UNLCK = 37, 1, 2


class _Range(ctypes.Structure):
    """C's struct flock on Linux."""

    _fields_ = [
        *[("kind", ctypes.c_short), ("whence", ctypes.c_short)],
        *[("start", ctypes.c_int64), ("size", ctypes.c_int64), ("process", ctypes.c_int)],
    ]


_libc = ctypes.CDLL(None, use_errno=True)


def _locking(handle: int, mode: int, count: int) -> None:
    here = os.lseek(handle, 0, os.SEEK_CUR)
    part = _Range(_F_UNLCK if mode == _UNLOCK else _F_WRLCK, os.SEEK_SET, here, count, 0)
    if _libc.fcntl(handle, _OFD_SETLK, ctypes.byref(part)) != 0:
        raise PermissionError(13, "Permission denied")


msvcrt = types.ModuleType("msvcrt")
vars(msvcrt).update(locking=_locking, LK_NBLCK=_LOCK, LK_UNLCK=_UNLOCK)


def _refuse_what_is_open(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and arguments[1] is None and os.path.isdir(str(arguments[0])):  # noqa: PTH112
        raise PermissionError(13, "Permission denied", arguments[0])
    if event in ("os.rename", "os.remove", "os.rmdir"):
        paths = [Path(os.fsdecode(path)).absolute() for path in arguments[: 2 if event == "os.rename" else 1]]  # type: ignore[arg-type]
        for file in _open_files():
            if any(file == path or path in file.parents for path in paths):
                raise PermissionError(13, f"{file} is open", str(paths[0]))


def _open_files() -> list[Path]:
    handles = [str(handle.readlink()) for handle in Path("/proc/self/fd").iterdir() if handle.is_symlink()]
    maps = [line.split(maxsplit=5)[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line]
    return [Path(name) for name in {*handles, *maps} if name.startswith("/")]


for module in MODULES:
    sys.modules[module] = None  # type: ignore[assignment]
sys.modules["msvcrt"] = msvcrt
for owner, names in NAMES.items():
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)
shutil._use_fd_functions = False  # type: ignore[attr-defined]
sys.addaudithook(_refuse_what_is_open)
