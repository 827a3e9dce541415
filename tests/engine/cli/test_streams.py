"""Commands whose streams are closed, or lie on a full disk."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from simcse_engine.cli.main import main
from simcse_engine.cli.streams import print_message, print_out
from support.commands import PROGRAM

FULL = Path("/dev/full")
COMMANDS = ["similarity A one two", "info A --json", "--help", "--version"]


def shell(command: str, streams: str, artifact: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command in which A is the artifact, with redirections as a shell takes them."""
    words = [str(artifact) if word == "A" else word for word in shlex.split(command)]
    line = f"{shlex.join([sys.executable, '-c', PROGRAM, *words])} {streams}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_stdout_that_cannot_be_written(command: str, artifact: Path) -> None:
    for streams, problem in ((">&-", "is closed"), (">/dev/full", "cannot be written (No space left on device)")):
        if "full" in streams and not FULL.exists():
            continue
        done = shell(command, streams, artifact)
        assert (done.returncode, done.stderr) == (1, f"simcse-engine: error: stdout {problem}\n"), streams


def test_stderr_that_cannot_be_written(artifact: Path, tmp_path: Path) -> None:
    for streams in ("2>&-", "2>/dev/full"):
        assert shell("similarity A one one", streams, artifact).stdout == "1.0000\n"
        done = shell("similarity none one two", streams, artifact)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
        done = shell("similarity", streams, artifact)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
        # Its report goes to stderr, and the file is there all the same.
        (tmp_path / "texts.txt").write_text("one\n")
        done = shell(f"encode A {tmp_path}/texts.txt -o {tmp_path}/vectors.jsonl", streams, artifact)
        assert (done.returncode, done.stdout) == (0, "")
        assert (tmp_path / "vectors.jsonl").read_text().startswith('{"text": "one"')
        (tmp_path / "vectors.jsonl").unlink()


def test_stdin_that_is_closed(artifact: Path, tmp_path: Path) -> None:
    done = shell(f"encode A -o {tmp_path}/vectors.npy", "<&-", artifact)
    assert (done.returncode, done.stderr) == (1, "simcse-engine: error: stdin is closed; name a file of texts\n")
    assert not any(tmp_path.iterdir())


def test_all_of_them_closed(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("one\n")
    command = f"encode A {tmp_path}/texts.txt -o {tmp_path}/vectors.jsonl"
    assert shell(command, "<&- >&- 2>&-", artifact).returncode == 0
    # Nothing that a library prints is in it.
    assert (tmp_path / "vectors.jsonl").read_text().count("\n") == 1
    assert shell("info A", "<&- >&- 2>&-", artifact).returncode == 1


def test_no_terminal_obeys_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_out("a\x1b[2J\x9b31m\u202e\r\tb\nc é 漢 \U0001f600\ud800")
    print_message("error: \x1b]0;title\x07\n  next")
    out, err = capsys.readouterr()
    assert out == "a\\x1b[2J\\x9b31m\\u202e\\r\\tb\nc é 漢 \U0001f600\\ud800\n"
    assert err == "error: \\x1b]0;title\\x07\n  next\n"


def test_errors_quote_files_without_what_a_terminal_obeys(
    artifact_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = artifact_copy.rename(artifact_copy.with_name("a\x1b[2Jb"))
    (hostile / "manifest.json").write_text("{")
    assert main(["info", str(hostile)]) == 1
    assert "a\\x1b[2Jb/manifest.json: is not JSON" in capsys.readouterr().err
