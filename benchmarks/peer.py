"""FastEmbed, in an environment of its own, with the same model as ours from a local folder."""

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from inputs import BENCH, minilm_checkpoint

REQUIREMENT = "fastembed==0.9.1"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_FOLDER = BENCH / "fastembed"
_PYTHON = _FOLDER / "bin/python"
_GRAPH = BENCH / "fastembed-minilm"

_VERSIONS = """
import importlib.metadata, json
packages = ("fastembed", "onnxruntime", "tokenizers", "numpy", "huggingface_hub")
print(json.dumps({name: importlib.metadata.version(name) for name in packages}))
"""


@dataclass(frozen=True, kw_only=True)
class FastEmbed:
    """FastEmbed as it is here.

    Attributes:
        requirement: what was asked of pip.
        error: why it could not be installed; None where it could.
        packages: the versions that its environment has.
    """

    requirement: str
    error: str | None
    packages: dict[str, str]

    @property
    def python(self) -> Path:
        """Its environment's interpreter."""
        return _PYTHON


def install() -> FastEmbed:
    """Make the environment, if it is not there."""
    packages = _versions()
    error = None
    if packages.get("fastembed") != REQUIREMENT.partition("==")[2]:
        print(f"installing {REQUIREMENT}", flush=True)
        venv.create(_FOLDER, clear=True, with_pip=True)
        pip = [_PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", REQUIREMENT]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        packages = _versions()
        if done.returncode:
            # Warnings name this machine's folders; the result's file shall not.
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            error = " ".join(said) or f"pip ended with {done.returncode}"
    return FastEmbed(requirement=REQUIREMENT, error=error, packages=packages)


def _versions() -> dict[str, str]:
    if not _PYTHON.is_file():
        return {}
    done = subprocess.run([_PYTHON, "-c", _VERSIONS], capture_output=True, text=True, check=False)
    versions: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
    return versions


def model_folder() -> Path:
    """MiniLM as FastEmbed downloads it: the graph that optimum exports, and the tokenizer's files."""
    if not (_GRAPH / "model.onnx").is_file():
        optimum = Path(sys.executable).with_name("optimum-cli")
        options = ["--task", "feature-extraction", "--library", "transformers"]
        subprocess.run([optimum, "export", "onnx", "--model", minilm_checkpoint(), *options, _GRAPH], check=True)
    return _GRAPH
