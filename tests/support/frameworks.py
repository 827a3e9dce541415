"""Environments with the frameworks that the engine has adapters for, in their releases of today."""

from pathlib import Path
from typing import Any

from support.child import run_script
from support.environments import environment

ENGINE = Path(__file__).resolve().parents[2] / "engine"
# Nothing is reported home or looked up, and no bar is drawn.
_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def run_with_frameworks(script: str, *arguments: object) -> str:
    """Run a script with the engine beside Chroma, Haystack, LanceDB, LangChain and LlamaIndex; its stdout."""
    return _run(
        environment(
            "frameworks",
            "chromadb==1.5.9",
            "haystack-ai==3.4.1",
            "lancedb==0.40.0",
            "langchain-core==1.8.3",
            "llama-index-core==0.14.25",
            # What the engine needs, as far as none of them brings it.
            "onnxruntime==1.32.0",
            "usearch==2.26.6",
        ),
        script,
        arguments,
    )


def run_with_mteb(script: str, *arguments: object) -> str:
    """Run a script with the engine beside MTEB and sentence-transformers; its stdout."""
    return _run(environment("mteb", "mteb==2.26.24", over_ours=True), script, arguments)


def _run(python: Path, script: str, arguments: tuple[Any, ...]) -> str:
    return run_script(script, *arguments, python=python, seconds=300, PYTHONPATH=str(ENGINE), **_QUIET)
