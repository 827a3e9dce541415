"""How much does each environment put on the disk? Ours is the project itself, installed with `[cpu]` alone."""

import json
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simcse_engine import __version__

from .. import tether
from ..record import BENCH, ROOT
from .peers.catalog import PEERS
from .peers.environment import PeerError

QUESTION = "MB of 10^6 bytes that each environment installs"

# For each distribution, the bytes of the files that it installed; their installer is not counted.
SIZES = """
import importlib.metadata, json
sizes = {}
for each in importlib.metadata.distributions():
    if each.name not in ("pip", "setuptools"):
        sizes[each.name] = sum(p.stat().st_size for f in each.files or [] if (p := each.locate_file(f)).is_file())
print(json.dumps(sizes))
"""
LARGEST = 5


def measure(peers: Sequence[str]) -> dict[str, Any]:
    ours = BENCH / "ours"
    print("installing the project with [cpu]", flush=True)
    venv.create(ours, clear=True, with_pip=True)
    pip = [ours / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", f"{ROOT}[cpu]"]
    tether.run(pip).check_returncode()
    environments, absent = {"ours": size(ours, (f"simcse-engine[cpu]=={__version__}",))}, {}
    for environment in dict.fromkeys(PEERS[name].environment for name in peers):
        try:
            environment.install()
            environments[environment.name] = size(environment.folder, environment.pinned)
        except PeerError as error:
            absent[environment.name] = str(error)
    libraries = ours.glob("lib/python*/site-packages/simcse_engine/kernels/libsimcse_kernels.*")
    return {
        "environments": environments,
        "native_library_kb": next((path.stat().st_size / 1e3 for path in libraries), None),
        "absent": absent,
    }


def size(folder: Path, requirements: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run([folder / "bin/python", "-c", SIZES], stdout=subprocess.PIPE, text=True, check=True)
    sizes = json.loads(done.stdout)
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST]
    return {
        "requirements": requirements,
        "megabytes": sum(sizes.values()) / 1e6,
        "packages": len(sizes),
        "largest": {name: sizes[name] / 1e6 for name in largest},
    }
