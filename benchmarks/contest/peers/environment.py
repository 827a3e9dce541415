"""The peers' virtual environments, created from pinned requirements under `.bench/`."""

import contextlib
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

# Of what the pinned packages bring, these decide figures too.
_ALSO_REPORTED = ("onnxruntime", "transformers", "tokenizers", "numpy", "huggingface_hub")
_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


class PeerError(Exception):
    """A peer cannot take part; the text says why and names none of this machine's folders."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment."""

    name: str  # of its folder
    requirements: tuple[str, ...]  # pinned, ``name==version``
    bare: tuple[str, ...] = ()  # pinned likewise; what they require themselves cannot be had for this Python

    @property
    def folder(self) -> Path:
        """Its folder, which also holds the models that its packages convert: they go when it is replaced."""
        return BENCH / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def pinned(self) -> tuple[str, ...]:
        return (*self.requirements, *self.bare)

    def install(self) -> dict[str, str]:
        """Create the environment, unless it is there; the versions of what decides its figures.

        Raises:
            PeerError: pip's own reason.
        """
        pins = dict(requirement.split("==") for requirement in self.pinned)
        versions = self._versions()
        # A local version, as in 2.13.0+cpu, names a build.
        if any(versions.get(_key(name), "").partition("+")[0] != pin for name, pin in pins.items()):
            print("installing", *self.pinned, flush=True)
            venv.create(self.folder, clear=True, with_pip=True)
            for torch in (requirement for requirement in self.requirements if requirement.startswith("torch==")):
                # The CPU build, as in the Makefile: elsewhere torch brings gigabytes of CUDA libraries.
                with contextlib.suppress(PeerError):
                    self._pip("--retries", "0", "--timeout", "15", "--index-url", _TORCH_INDEX, torch)
            self._pip(*self.requirements)
            if self.bare:
                self._pip("--no-deps", *self.bare)
            versions = self._versions()
        return {name: versions[_key(name)] for name in (*pins, *_ALSO_REPORTED) if _key(name) in versions}

    def _pip(self, *what: str) -> None:
        pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *what]
        done = tether.run(pip, captured=True)
        if done.returncode:
            # Warnings name this machine's folders, which a result's file must not.
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            raise PeerError(" ".join(errors) or f"pip ended with {done.returncode}")

    def _versions(self) -> dict[str, str]:
        if not self.python.is_file():
            return {}
        done = subprocess.run([self.python, "-c", _VERSIONS], capture_output=True, text=True, check=False)
        versions: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
        return {_key(name): version for name, version in versions.items()}


def _key(name: str) -> str:
    """A distribution's name, the same for all its spellings."""
    return name.lower().replace("_", "-")


_OPENVINO = ("openvino==2026.4.1", "tokenizers==0.22.2")
_TORCH = "torch==2.13.0"
# The last transformers that optimum-onnx goes with.
_TRANSFORMERS = "transformers==4.57.6"
_OPTIMUM = (_TRANSFORMERS, "optimum-onnx==0.1.0", "onnxruntime==1.32.0")

FASTEMBED = Environment(name="fastembed", requirements=("fastembed==0.9.1",))
OPENVINO = Environment(name="openvino", requirements=_OPENVINO)
# It quantizes for OpenVINO, and is not there when that runs.
NNCF = Environment(name="openvino-nncf", requirements=(*_OPENVINO, "nncf==3.4.0"))
CTRANSLATE2 = Environment(name="ctranslate2", requirements=("ctranslate2==4.8.5", "tokenizers==0.22.2"))
SENTENCE_TRANSFORMERS = Environment(name="sentence-transformers", requirements=(_TORCH, "sentence-transformers==6.2.0"))
# The ONNX backend needs optimum-onnx, whose transformers are too old for the sixth version.
SENTENCE_TRANSFORMERS_ONNX = Environment(
    name="sentence-transformers-onnx", requirements=(_TORCH, "sentence-transformers==5.7.0", *_OPTIMUM)
)
OPTIMUM = Environment(name="optimum", requirements=(_TORCH, *_OPTIMUM))
INFINITY = Environment(
    name="infinity",
    requirements=(_TORCH, "infinity-emb==0.0.78", "sentence-transformers==3.4.1", _TRANSFORMERS, "numpy==1.26.4"),
)
# Its own requirements are numpy and scipy of 2020.
SIMCSE = Environment(
    name="simcse",
    requirements=(_TORCH, _TRANSFORMERS, "scikit-learn==1.9.1", "scipy==1.17.1"),
    bare=("simcse==0.4",),
)
