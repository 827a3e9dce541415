"""Releases of transformers beside which an export runs, each with what it needs: overlays of this environment."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from .environments import overlay

_OVER_REQUESTS = (
    *("huggingface-hub==0.36.2", "requests==2.32.5", "urllib3==2.6.1", "charset-normalizer==3.4.4"),
    *("certifi==2025.11.12", "idna==3.11"),
)
_OVER_HTTPX = (
    *("typer==0.29.2", "annotated-doc==0.0.7", "pydantic==2.14.4", "pydantic_core==2.50.5", "rich==15.0.0"),
    *("shellingham==1.5.4", "annotated-types==0.8.0", "anyio==4.16.0", "markdown-it-py==4.3.0"),
    *("typing-inspection==0.4.5", "h11==0.16.0", "mdurl==0.1.2", "certifi==2025.11.12", "idna==3.11"),
)
_NEEDED = {
    "4.50.0": ("tokenizers==0.21.4", *_OVER_REQUESTS),
    "4.57.6": ("tokenizers==0.22.2", "optimum==2.1.0", "optimum-onnx==0.1.0", *_OVER_REQUESTS),
    "5.0.0": (
        *("tokenizers==0.22.2", "huggingface_hub==1.33.0", "typer-slim==0.24.0", "httpx==0.28.1", "httpcore==1.0.9"),
        *_OVER_HTTPX,
    ),
    "5.24.0": (
        *("tokenizers==0.23.3", "huggingface_hub==2.4.0", "httpx2==2.16.2", "httpcore2==2.16.2", "truststore==0.10.5"),
        *_OVER_HTTPX,
    ),
}
RELEASES = tuple(_NEEDED)
# The last that optimum goes with, which lies beside it.
LAST_4 = "4.57.6"
NEWEST = RELEASES[-1]

HERE = version("transformers")
# Whether this environment is one of [export-optimum].
HAS_OPTIMUM = HERE.startswith("4.") and find_spec("optimum") is not None

_ROOT = Path(__file__).resolve().parents[2]


def beside(release: str) -> str:
    """A `PYTHONPATH` for a child that runs this transformers, the project and the tests' support.

    Skips the test where pip cannot install the release.
    """
    folders = [] if release == HERE else [overlay(f"transformers=={release}", *_NEEDED[release])]
    return ":".join(map(str, [*folders, *(_ROOT / name for name in ("engine", "export", "tests"))]))
