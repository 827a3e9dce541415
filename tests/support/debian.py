"""Files of Debian's and Ubuntu's packages, without installing them, for tests that need a program of the system."""

import io
import os
import shutil
import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path

from support.environments import KEPT

_SECONDS = 300


def packaged(package: str, pattern: str) -> Path | None:
    """The file of a package whose path matches ``pattern``; None where apt has none or cannot be reached.

    Needs no rights: the package is downloaded and one file of it kept.

    >>> packaged("qemu-user-static", "./usr/bin/qemu-aarch64*")
    PosixPath('.environments/debian/qemu-user-static/qemu-aarch64-static')
    """
    folder = KEPT / "debian" / package
    if not folder.is_dir():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return None
        unfinished = folder.with_name(f"{package}-{os.getpid()}")
        unfinished.mkdir(parents=True)
        try:
            _download(package, pattern, unfinished)
            unfinished.rename(folder)
        except (subprocess.SubprocessError, tarfile.TarError):
            return None
        except OSError:  # another process was quicker
            if not folder.is_dir():
                return None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return next(folder.glob(Path(pattern).name), None)


def _download(package: str, pattern: str, folder: Path) -> None:
    run = {"cwd": folder, "check": True, "timeout": _SECONDS, "stderr": subprocess.DEVNULL}
    subprocess.run(["apt-get", "download", package], stdout=subprocess.DEVNULL, **run)
    (archive,) = folder.glob("*.deb")
    contents = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive.name], stdout=subprocess.PIPE, **run).stdout
    archive.unlink()
    with tarfile.open(fileobj=io.BytesIO(contents)) as files:
        for member in files:
            if member.isfile() and fnmatch(member.name, pattern):
                source = files.extractfile(member)
                assert source is not None
                target = folder / Path(member.name).name
                target.write_bytes(source.read())
                target.chmod(0o755)
