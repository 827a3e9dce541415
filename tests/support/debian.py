"""Files of Debian's and Ubuntu's packages, without installing them, for tests that need a program of the system."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from support.environments import kept

_SECONDS = 300


def packaged(package: str, pattern: str) -> Path | None:
    """The file of a package whose path matches ``pattern``; None where apt has none or cannot be reached.

    Needs no rights: the package is downloaded and one file of it kept.

    >>> packaged("qemu-user-static", "./usr/bin/qemu-aarch64*")
    PosixPath('.environments/debian/qemu-user-static/qemu-aarch64-static')
    """

    def make(folder: Path) -> None:
        archive = _Archive(folder)
        (deb,) = archive.download(package)
        _extract(_run(folder, "dpkg-deb", "--fsys-tarfile", deb.name), pattern, folder)
        deb.unlink()
        archive.close()

    folder = _made(package, make)
    return next(folder.glob(Path(pattern).name), None) if folder else None


def unpacked(package: str) -> Path | None:
    """A root of a file system, with a package and those of its dependencies that are not installed.

    None where apt has none or cannot be reached. Needs no rights and leaves the system as it is: the packages are
    downloaded and none of their scripts runs.

    >>> unpacked("chromium")
    PosixPath('.environments/debian/chromium-root')
    """

    def make(folder: Path) -> None:
        archive = _Archive(folder)
        for deb in archive.download(*archive.missing(package)):
            _run(folder, "dpkg-deb", "--extract", deb.name, ".")
            deb.unlink()
        archive.close()

    return _made(f"{package}-root", make)


class _Archive:
    """apt with lists of its own, inside a folder: the system's may be old, or missing as in most containers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / "apt"
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self._own / part).mkdir(parents=True)
        self._apt("update")

    def missing(self, package: str) -> list[str]:
        """What an installation of the package would bring, itself included."""
        plan = self._apt("install", "--simulate", "--no-install-recommends", package).decode()
        return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]

    def download(self, *packages: str) -> list[Path]:
        self._apt("download", *packages)
        return sorted(self.folder.glob("*.deb"))

    def close(self) -> None:
        shutil.rmtree(self._own)

    def _apt(self, *arguments: str) -> bytes:
        places = {
            "Dir::State": self._own / "state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": self._own / "cache",
        }
        options = [f"--option={name}={value}" for name, value in places.items()]
        return _run(self.folder, "apt-get", *options, *arguments)


def _made(name: str, make: Callable[[Path], None]) -> Path | None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    try:
        return kept(f"debian/{name}", make)
    except (subprocess.SubprocessError, tarfile.TarError, OSError):
        return None


def _run(folder: Path, *command: str) -> bytes:
    done = subprocess.run(
        command, cwd=folder, check=True, timeout=_SECONDS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return done.stdout


def _extract(contents: bytes, pattern: str, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(contents)) as files:
        for member in files:
            if member.isfile() and fnmatch(member.name, pattern):
                source = files.extractfile(member)
                assert source is not None
                target = folder / Path(member.name).name
                target.write_bytes(source.read())
                target.chmod(0o755)
