"""Runs a script in a process of its own, for what a process can do only once: import, fork, exit."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_SETTINGS = ("HF_", "HUGGINGFACE_", "LANGCHAIN_", "LANGSMITH_", "OPENAI_", "ORT_", "TOKENIZERS_", "TRANSFORMERS_")


def run_script(
    script: str, *arguments: object, seconds: float = 60, python: Path | None = None, **environment: str
) -> str:
    """Run Python code; its stdout.

    Fails where the script fails, hangs, or writes to stderr.

    Args:
        script: the code, indented as it likes.
        arguments: what it finds in `sys.argv`.
        seconds: after so many it counts as hanging.
        python: of another environment, which sees nothing of this one.
        environment: variables to set for it.
    """
    result = subprocess.run(
        [python or sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**_inherited(*(["PYTHON"] if python else [])), **environment},
    )
    if result.returncode != 0 or result.stderr:
        pytest.fail(f"the script ended with {result.returncode} and said:\n{result.stdout}{result.stderr}")
    return result.stdout


def _inherited(*without: str) -> dict[str, str]:
    """This process's environment without what its own libraries have set, a user's hub settings, or these prefixes."""
    return {name: value for name, value in os.environ.items() if not name.startswith((*_SETTINGS, *without))}
