"""The command line as a whole: exit codes, wrong use, and what every command has in common."""

import subprocess
import sys
from pathlib import Path

import pytest

from simcse_engine import __version__
from support.commands import failure, run, start, wrong_use


@pytest.mark.parametrize("command", ["encode", "similarity", "info", "verify"])
def test_missing_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    (tmp_path / "texts.txt").touch()
    more = {"encode": [tmp_path / "texts.txt", "-o", tmp_path / "vectors.npy"], "similarity": ["a", "b"]}
    message = failure(capsys, command, tmp_path / "none", *more.get(command, []))
    assert "none: does not exist" in message
    assert not (tmp_path / "vectors.npy").exists()


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["decode"],
        ["encode"],
        ["encode", "ARTIFACT", "texts.txt"],
        ["encode", "ARTIFACT", "-o", "v.npy", "--threads", "0"],
        ["encode", "ARTIFACT", "-o", "v.npy", "--threads", "\u0663"],  # a digit, and not one of ASCII's
        ["encode", "ARTIFACT", "-o", "v.npy", "--max-tokens", "many"],
        ["encode", "ARTIFACT", "-o", "v.npy", "--truncate", "sometimes"],
        ["similarity", "ARTIFACT", "one sentence"],
        ["info"],
        ["verify", "ARTIFACT", "--max-tokens", "4"],
    ],
)
def test_wrong_use(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "usage: simcse-engine" in wrong_use(capsys, *args)


def test_device_that_the_artifact_is_not_for(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cuda" in failure(capsys, "similarity", artifact, "a", "b", "--device", "cuda")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--version")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"simcse-engine {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [[], ["bench"], ["evaluate"], ["encode"], ["search"], ["index", "add"]],
    ids=lambda c: " ".join(c) or "itself",
)
def test_help_loads_no_runtime(command: list[str]) -> None:
    code = (
        "import sys; from simcse_engine.cli.main import main\n"
        "measuring = 'simcse_engine.measure.bench', 'simcse_engine.measure.sts'\n"
        "heavy = 'onnxruntime', 'pyarrow', 'huggingface_hub', 'sqlite3', 'usearch', *measuring\n"
        "try: main([*sys.argv[1:], '--help'])\n"
        "finally: print([module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_a_reader_that_has_seen_enough(artifact: Path) -> None:
    with start("info", artifact, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""
