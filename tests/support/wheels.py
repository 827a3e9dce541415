"""Our wheel for each platform, and fresh environments to install one into."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# Run inside an environment: what is installed, what each distribution asks for, and how large its files are.
_LIST = """
import importlib.metadata, json
found = {}
for d in importlib.metadata.distributions():
    size = sum(p.stat().st_size for f in d.files or [] if (p := d.locate_file(f)).is_file())
    found[d.name.lower().replace("_", "-")] = {"size": size, "requires": d.requires or []}
print(json.dumps(found))
"""

# Run inside an environment: the variants of the native library that this CPU can run, best first.
_VARIANTS = """
import ctypes, glob, os, simcse_engine
(library,) = glob.glob(os.path.join(os.path.dirname(simcse_engine.__file__), "kernels", "libsimcse_kernels.*"))
variants = ctypes.CDLL(library).simcse_kernels_variants
variants.restype = ctypes.c_char_p
print(variants().decode())
"""


class Environment:
    """A virtual environment without anything of ours, nor of this process's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=True)

    def run(self, command: str, *arguments: str | Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [self.folder / "bin" / command, *arguments], capture_output=True, text=True, env=clean, cwd=self.folder
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done

    def install(self, what: str) -> None:
        self.run("python", "-m", "pip", "install", "--quiet", what)

    def packages(self) -> dict[str, dict[str, Any]]:
        found = json.loads(self.run("python", "-c", _LIST).stdout)
        return {name: facts for name, facts in found.items() if name not in ("pip", "setuptools")}

    def variants(self) -> list[str]:
        """The variants of the installed native library that run here, best first."""
        listed = self.run("python", "-c", _VARIANTS).stdout.strip()
        return listed.split(",") if listed else []


def build_wheel(folder: Path, wanted: str = "1", **environment: str) -> Path:
    """Build the wheel into ``folder`` with this environment's tools and return its path.

    Args:
        folder: created where it does not exist.
        wanted: a platform's name; "1", this machine's; "0", the one without a native library.
        environment: other variables.
    """
    before = set(folder.glob("*.whl"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    environment = {**os.environ, "SIMCSE_BUILD_KERNELS": wanted, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = set(folder.glob("*.whl")) - before
    return built


def native_library(wheel: Path) -> tuple[str, int] | None:
    """The name of the wheel's native library and its size in bytes; None where it has none."""
    with zipfile.ZipFile(wheel) as files:
        found = [entry for entry in files.infolist() if "libsimcse_kernels" in entry.filename]
    assert len(found) < 2
    return (found[0].filename, found[0].file_size) if found else None
