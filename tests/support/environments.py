"""Other releases of the libraries that we read, laid over this environment for a script in a process of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Kept between runs; ignored by git, removed by `make clean`.
KEPT = Path(__file__).resolve().parents[2] / ".environments"
_SECONDS = 600


def overlay(*requirements: str) -> Path:
    """A folder with just these distributions, for `PYTHONPATH`: they hide this environment's own releases.

    Nothing that they depend on is installed: name it too where this environment has another release or none. Skips
    the test where pip cannot install them.

    >>> run_script("import onnxruntime; print(onnxruntime.__version__)", PYTHONPATH=str(overlay("onnxruntime==1.22.0")))
    1.22.0
    """
    wanted = " ".join(sorted(requirements))
    name = hashlib.sha256(f"{sys.version_info[:2]} {wanted}".encode()).hexdigest()[:16]
    folder = KEPT / name
    if folder.is_dir():
        return folder
    unfinished = KEPT / f"{name}-{os.getpid()}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    try:
        result = subprocess.run(
            [*command, "--target", str(unfinished), *requirements],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            pytest.skip(f"pip cannot install {wanted}: {result.stderr.strip().splitlines()[-1:]}")
        unfinished.rename(folder)
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip does not install {wanted} within {_SECONDS} s")
    except OSError:  # another process was quicker
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder
