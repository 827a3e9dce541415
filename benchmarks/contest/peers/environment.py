"""Environments of their own for the peers, made from pinned requirements under `.bench/`."""

import json
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from ... import tether
from ...record import BENCH

_VERSIONS = """
import importlib.metadata, json
print(json.dumps({each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}))
"""

_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


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
        bare: pinned likewise, and installed without what they require: versions that this Python cannot have.
        also: packages to report besides the required ones.
    """

    name: str
    requirements: tuple[str, ...]
    bare: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

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
        asked = (*self.requirements, *self.bare)
        pins = dict(requirement.split("==") for requirement in asked)
        found = self._versions()
        error = None
        # A local version, as in 2.13.0+cpu, names a build.
        if any(found.get(_key(name), "").partition("+")[0] != pin for name, pin in pins.items()):
            print("installing", *asked, flush=True)
            venv.create(self.folder, clear=True, with_pip=True)
            torch = [requirement for requirement in self.requirements if requirement.startswith("torch==")]
            # The CPU build, as in the Makefile: elsewhere torch brings gigabytes of CUDA libraries.
            if torch and self._pip("--retries", "0", "--timeout", "15", "--index-url", _TORCH_INDEX, *torch):
                error = self._pip(*torch)
            error = error or self._pip(*self.requirements)
            if self.bare and error is None:
                error = self._pip("--no-deps", *self.bare)
            found = self._versions()
        packages = {name: found[_key(name)] for name in (*pins, *self.also) if _key(name) in found}
        return Installed(requirements=asked, error=error, packages=packages)

    def _pip(self, *what: str) -> str | None:
        """Install; why it failed, or None."""
        pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *what]
        done = tether.run(pip, captured=True)
        if not done.returncode:
            return None
        # Warnings name this machine's folders; the result's file shall not.
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        return " ".join(said) or f"pip ended with {done.returncode}"

    def _versions(self) -> dict[str, str]:
        if not self.python.is_file():
            return {}
        done = subprocess.run([self.python, "-c", _VERSIONS], capture_output=True, text=True, check=False)
        versions: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
        return {_key(name): version for name, version in versions.items()}


def _key(name: str) -> str:
    """A distribution's name as all its spellings have it in common."""
    return name.lower().replace("_", "-")


FASTEMBED = Environment(
    name="fastembed",
    requirements=("fastembed==0.9.1",),
    also=("onnxruntime", "tokenizers", "numpy", "huggingface_hub"),
)
_OPENVINO = ("openvino==2026.4.1", "tokenizers==0.22.2")
OPENVINO = Environment(name="openvino", requirements=_OPENVINO, also=("numpy",))
# What quantizes for it, and is not there when it runs.
NNCF = Environment(name="openvino-nncf", requirements=(*_OPENVINO, "nncf==3.4.0"), also=("numpy",))
CTRANSLATE2 = Environment(
    name="ctranslate2",
    requirements=("ctranslate2==4.8.5", "tokenizers==0.22.2"),
    also=("numpy",),
)

_TORCH = "torch==2.13.0"
# The last transformers that optimum-onnx goes with.
_TRANSFORMERS = "transformers==4.57.6"

SENTENCE_TRANSFORMERS = Environment(
    name="sentence-transformers",
    requirements=(_TORCH, "sentence-transformers==6.2.0"),
    also=("transformers", "tokenizers", "numpy"),
)
# The ONNX backend wants optimum-onnx, whose transformers the sixth version is too new for.
SENTENCE_TRANSFORMERS_ONNX = Environment(
    name="sentence-transformers-onnx",
    requirements=(
        _TORCH,
        "sentence-transformers==5.7.0",
        _TRANSFORMERS,
        "optimum-onnx==0.1.0",
        "onnxruntime==1.32.0",
    ),
    also=("tokenizers", "numpy"),
)
OPTIMUM = Environment(
    name="optimum",
    requirements=(_TORCH, _TRANSFORMERS, "optimum-onnx==0.1.0", "onnxruntime==1.32.0"),
    also=("tokenizers", "numpy"),
)
INFINITY = Environment(
    name="infinity",
    requirements=(
        _TORCH,
        "infinity-emb==0.0.78",
        "sentence-transformers==3.4.1",
        _TRANSFORMERS,
        "numpy==1.26.4",
    ),
    also=("tokenizers",),
)
# It asks for numpy and scipy of 2020.
SIMCSE = Environment(
    name="simcse",
    requirements=(_TORCH, _TRANSFORMERS, "scikit-learn==1.9.1", "scipy==1.17.1"),
    bare=("simcse==0.4",),
    also=("tokenizers", "numpy"),
)
