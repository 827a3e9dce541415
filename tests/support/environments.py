"""Other distributions than this environment's: laid over it for a script in a process of its own, or apart from it."""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

# Kept between runs; ignored by git, removed by `make clean`.
KEPT = Path(__file__).resolve().parents[2] / ".environments"
_SECONDS = 600
# What an environment over ours sees of ours, and was made to fit.
_LARGE = ("torch", "transformers", "numpy")


def overlay(*requirements: str) -> Path:
    """A folder with just these distributions, for `PYTHONPATH`: they hide this environment's own releases.

    Nothing that they depend on is installed: name it too where this environment has another release or none. Skips
    the test where pip cannot install them.

    >>> run_script("import onnxruntime; print(onnxruntime.__version__)", PYTHONPATH=str(overlay("onnxruntime==1.22.0")))
    1.22.0
    """
    return kept(_digest(*requirements), lambda folder: _install(requirements, "--no-deps", "--target", str(folder)))


def environment(name: str, *requirements: str, over_ours: bool = False) -> Path:
    """The Python of a virtual environment with these distributions and what they depend on, and nothing of ours.

    Run it, and no other program beside it: those know the folder under the name that it had while it was made. Skips
    the test where pip cannot install them.

    Args:
        name: what its folder's name begins with.
        requirements: as pip takes them.
        over_ours: let it see this environment's distributions too. What of them fits, such as torch's large ones, is
            not installed again; what does not is hidden. The project itself is not seen.

    >>> run_script("import openai; print(openai.__version__)", python=environment("openai", "openai==3.57.0"))
    3.57.0
    """

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=True)
        if over_ours:
            here, there = (sysconfig.get_path("purelib", vars=base) for base in ({}, {"base": str(folder)}))
            (Path(there) / "ours.pth").write_text(f"{here}\n", encoding="utf-8")
        # Without bytecode, which Python writes for those modules that a test imports.
        _install(requirements, "--no-compile", python=folder / "bin/python")

    over = "-over-ours" * over_ours
    ours = _releases(*_LARGE) if over_ours else []
    return kept(f"{name}{over}-{_digest(*requirements, *ours)}", make) / "bin/python"


def node_modules(name: str, *packages: str) -> Path:
    """A folder ``node_modules`` with these packages and what they depend on; none of their scripts has run.

    Skips the test where there is no node or npm, or npm cannot install them.

    >>> node_modules("tokenizers", "@huggingface/tokenizers@0.2.0")
    PosixPath('.../node_modules')
    """
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on the path")

    def make(folder: Path) -> None:
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder))
        _run_installer(["npm", "install", *options, *packages], "npm", packages)

    return kept(f"node-{name}-{_digest(*packages)}", make) / "node_modules"


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name among those kept; ``make`` fills an empty one where there is none.

    It appears whole or not at all. Of two processes that make it at once, the first to finish leaves its own.
    """
    folder = KEPT / name
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        make(unfinished)
        unfinished.rename(folder)
    except OSError:  # another process was quicker
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _releases(*names: str) -> list[str]:
    """What this environment has of these distributions, as pip's requirements."""
    found = {each.name.lower(): each.version for each in importlib.metadata.distributions() if each.name}
    return [f"{name}=={found[name]}" for name in names if name in found]


def _digest(*requirements: str) -> str:
    wanted = " ".join(sorted(requirements))
    return hashlib.sha256(f"{sys.version_info[:2]} {wanted}".encode()).hexdigest()[:16]


def _install(requirements: tuple[str, ...], *options: str, python: Path | None = None) -> None:
    """Install by this environment's pip, into another environment where its ``python`` is given."""
    command = [sys.executable, "-m", "pip", *(["--python", str(python)] if python else [])]
    command += ["install", "--quiet", "--disable-pip-version-check", *options, *requirements]
    _run_installer(command, "pip", requirements)


def _run_installer(command: list[str], installer: str, packages: tuple[str, ...]) -> None:
    wanted = " ".join(sorted(packages))
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{installer} does not install {wanted} within {_SECONDS} s")
    if result.returncode != 0:
        pytest.skip(f"{installer} cannot install {wanted}: {result.stderr.strip().splitlines()[-1:]}")
