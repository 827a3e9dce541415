"""A program that runs programs of 64-bit ARM on another CPU."""

import shutil

from support.debian import packaged


def qemu_aarch64() -> str | None:
    """The path of qemu's user-mode emulator; None where it is not installed and cannot be fetched."""
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if path := shutil.which(name):
            return path
    # From Debian 13 on, the program of the second package needs no libraries either, and the first one is empty.
    packages = {"qemu-user-static": "./usr/bin/qemu-aarch64-static", "qemu-user": "./usr/bin/qemu-aarch64"}
    found = (packaged(package, file) for package, file in packages.items())
    return next((str(path) for path in found if path), None)
