"""Environments of their own for the peers, made from pinned requirements under `.bench/`."""

import json
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path

from inputs import BENCH

_VERSIONS = """
import importlib.metadata, json
print(json.dumps({each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}))
"""


class PeerError(Exception):
    """A peer cannot take part; the text says why and names none of this machine's folders."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment as it is here.

    Attributes:
        requirements: what was asked of pip.
        error: why it could not be installed; None where it could.
        packages: the versions that the environment has of what decides its figures.
    """

    requirements: tuple[str, ...]
    error: str | None
    packages: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: its folder's name.
        requirements: pinned, ``name==version``.
        also: packages to report besides the required ones.
    """

    name: str
    requirements: tuple[str, ...]
    also: tuple[str, ...] = field(default=())

    @property
    def folder(self) -> Path:
        """Where it lies; models that its packages convert lie in it too, and go when it is made anew."""
        return BENCH / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    def install(self) -> Installed:
        """Make the environment, if it is not there or has other versions than the pinned ones."""
        pins = dict(requirement.split("==") for requirement in self.requirements)
        found = self._versions()
        error = None
        if any(found.get(name) != pin for name, pin in pins.items()):
            print("installing", *self.requirements, flush=True)
            venv.create(self.folder, clear=True, with_pip=True)
            pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *self.requirements]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            found = self._versions()
            if done.returncode:
                # Warnings name this machine's folders; the result's file shall not.
                said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
                error = " ".join(said) or f"pip ended with {done.returncode}"
        packages = {name: found[name] for name in (*pins, *self.also) if name in found}
        return Installed(requirements=self.requirements, error=error, packages=packages)

    def _versions(self) -> dict[str, str]:
        if not self.python.is_file():
            return {}
        done = subprocess.run([self.python, "-c", _VERSIONS], capture_output=True, text=True, check=False)
        versions: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
        return versions


# What FastEmbed calls the model that `models.MINILM` is.
FASTEMBED_MINILM = "sentence-transformers/all-MiniLM-L6-v2"

FASTEMBED = Environment(
    name="fastembed",
    requirements=("fastembed==0.9.1",),
    also=("onnxruntime", "tokenizers", "numpy", "huggingface_hub"),
)
OPENVINO = Environment(
    name="openvino",
    requirements=("openvino==2026.4.1", "nncf==3.4.0", "tokenizers==0.22.2"),
    also=("numpy",),
)
CTRANSLATE2 = Environment(
    name="ctranslate2",
    requirements=("ctranslate2==4.8.5", "tokenizers==0.22.2"),
    also=("numpy",),
)
