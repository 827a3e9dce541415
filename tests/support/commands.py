"""The command line in tests: run in this process or in a child, with the checks that every outcome passes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simcse_engine.cli.main import main

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "some one is walking"]
# The child takes SIGINT as from a terminal, whatever the test run itself inherited.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from simcse_engine.cli.main import main; sys.exit(main())"
)


def run(*args: str | Path) -> int:
    """Run a command in this process; its exit code."""
    return main([str(arg) for arg in args])


def start(*args: str | Path, **options: Any) -> "subprocess.Popen[Any]":
    """Start a command in a child process."""
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, args)], **options)


def answer(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Any:
    """Run a command that succeeds and says nothing on stderr; its JSON document."""
    capsys.readouterr()
    assert run(*args, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def failure(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """Run a command that fails; its message."""
    capsys.readouterr()
    assert run(*args) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.startswith("simcse-engine: error: ")
    return captured.err


def wrong_use(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """Run a command that its parser refuses; the message."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run(*args)
    assert caught.value.code == 2
    return capsys.readouterr().err
