"""How much does each environment put on the disk? Ours is the project itself, installed with `[cpu]` alone."""

import argparse
import json
import subprocess
import venv

from simcse_engine import __version__

from .. import tether
from ..harness import ROOT, write_result
from ..inputs import BENCH
from .peers.catalog import PEERS, named

# Of each distribution, the bytes of the files that it installed. Their installer is no part of them.
SIZES = """
import importlib.metadata, json
found = {}
for each in importlib.metadata.distributions():
    if each.name not in ("pip", "setuptools"):
        found[each.name] = sum(p.stat().st_size for f in each.files or [] if (p := each.locate_file(f)).is_file())
print(json.dumps(found))
"""
LARGEST = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), help="or the first part of their names")
    asked = parser.parse_args()
    ours = BENCH / "ours"
    print("installing the project with [cpu]", flush=True)
    venv.create(ours, clear=True, with_pip=True)
    pip = [ours / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", f"{ROOT}[cpu]"]
    tether.run(pip).check_returncode()
    found, absent = {"ours": measure(ours, (f"simcse-engine[cpu]=={__version__}",))}, {}
    for environment in dict.fromkeys(PEERS[name].environment for name in named(asked.peers)):
        installed = environment.install()
        if installed.error is None:
            found[environment.name] = measure(environment.folder, installed.requirements)
        else:
            absent[environment.name] = installed.error
    for name, each in sorted(found.items(), key=lambda item: item[1]["megabytes"]):
        largest = ", ".join(f"{package} {size:.0f}" for package, size in each["largest"].items())
        print(f"{name:26} {each['megabytes']:6.0f} MB, {each['packages']} packages; {largest}")
    write_result(
        "size", {"question": "MB of 10^6 bytes that each environment installs", "environments": found, "absent": absent}
    )


def measure(folder, requirements: tuple[str, ...]) -> dict:
    done = subprocess.run([folder / "bin/python", "-c", SIZES], stdout=subprocess.PIPE, text=True, check=True)
    sizes: dict[str, int] = json.loads(done.stdout)
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST]
    return {
        "requirements": requirements,
        "megabytes": sum(sizes.values()) / 1e6,
        "packages": len(sizes),
        "largest": {name: sizes[name] / 1e6 for name in largest},
    }


if __name__ == "__main__":
    main()
