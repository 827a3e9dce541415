"""Bars on a terminal, and how many texts they say a file has."""

import os
import re
import subprocess
import termios
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.cli.bars import Bar
from simcse_engine.files.reading import Reading
from support.commands import start
from support.indexes import filled


def on_terminal(*command: str | Path, **options: int) -> str:
    """What a command shows on a terminal that is its stderr."""
    terminal, end = os.openpty()
    termios.tcsetwinsize(end, (24, 100))  # a new one has no columns to show a bar in
    with start(*command, stderr=end, **options) as process:
        os.close(end)
        shown = b""
        # Linux answers EIO, others nothing, when the last process has let go of a terminal.
        while piece := read(terminal):
            shown += piece
        assert process.wait(60) == 0
    os.close(terminal)
    return shown.decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_bars(artifact: Path, tmp_path: Path) -> None:
    texts, vectors, index = tmp_path / "texts.txt", tmp_path / "vectors.npy", tmp_path / "index"
    texts.write_text("".join(f"the cat {i}\n" for i in range(3000)))
    assert " 3000/3000 [" in on_terminal("encode", artifact, texts, "-o", vectors)
    # Fewer than a commit.
    shown = on_terminal("index", "create", index, artifact, texts)
    assert " 3000/3000 [" in shown
    assert " texts/s]" in shown
    assert " 3000/3000 [" in on_terminal("index", "add", index, texts, "--first-key", "0")
    assert " 3000/3000 [" in on_terminal("index", "add", index, vectors, "--texts", texts)
    assert " 6000/6000 [" in on_terminal("index", "compact", index)
    assert " 6000/6000 [" in on_terminal("index", "export", index, tmp_path / "all.jsonl")
    assert re.search(r" (\d+)/\1 \[", on_terminal("verify", artifact))
    with texts.open("rb") as file:
        assert " 3000/3000 [" in on_terminal("encode", artifact, "-", "-o", vectors, stdin=file.fileno())
    # Nobody knows how much a pipe will bring.
    with texts.open("rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as pipe:
        shown = on_terminal("encode", artifact, "-", "-o", vectors, stdin=pipe.stdout.fileno())
    assert "3000 texts [" in shown


def test_a_file_that_has_been_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    position = 250
    reading = Reading(iter(()), 1000, lambda: position)
    bar = Bar("texts")
    bar.advance_texts(3, reading, 10)
    assert (bar._bar.n, bar._bar.total) == (3, 40)
    position = 1000
    bar.advance_texts(4, reading, 35)
    assert (bar._bar.n, bar._bar.total) == (7, 35)
    bar.close()


def test_progress_of_a_compaction_and_of_an_export(artifact: Path, tmp_path: Path) -> None:
    filled(tmp_path / "index", artifact, 100)
    done: list[int] = []
    with Index.open(tmp_path / "index", read_only=False) as index:
        index.compact(progress=done.append)
        index.export(tmp_path / "all.jsonl", progress=done.append)
    assert done == [100, 100]
