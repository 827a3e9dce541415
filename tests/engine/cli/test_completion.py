"""Shells complete our command lines: commands, options, choices, files and folders."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import simcse_engine
import simcse_export
from support.child import run_script
from support.debian import unpacked
from support.environments import overlay

PROGRAMS = {"simcse-engine": "simcse_engine.cli.main", "simcse-export": "simcse_export.cli"}
PRINT = "import importlib, sys; sys.exit(importlib.import_module(sys.argv[1]).main(sys.argv[2:]))"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """What each program prints for each shell, by program and shell."""
    ours = [str(Path(package.__path__[0]).parent) for package in (simcse_engine, simcse_export)]
    path, folder = os.pathsep.join([str(overlay("shtab==1.13.0")), *ours]), tmp_path_factory.mktemp("completion")
    made = {}
    for program, module in PROGRAMS.items():
        for shell in ("bash", "zsh", "tcsh"):
            made[program, shell] = folder / f"{program}.{shell}"
            printed = run_script(PRINT, module, "--print-completion", shell, PYTHONPATH=path)
            made[program, shell].write_text(printed, encoding="utf-8")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with things whose names begin alike."""
    for name in ("sentences.txt", "sentences.csv"):
        (tmp_path / name).touch()
    for name in ("sentence-index", "minilm"):
        (tmp_path / name).mkdir()
    return tmp_path


def completions(script: Path, folder: Path, line: str) -> set[str]:
    """What bash offers for the last word of a line, as in ``simcse-engine enc``."""
    words = line.split(" ")
    code = """
        source "$1"; shift
        [[ "$(complete -p "$1")" =~ -F\\ ([^ ]+) ]]
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "${BASH_REMATCH[1]}" "$1" "${!#}" 2> /dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(script), *words], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return {name.rstrip("/ ") for name in done.stdout.splitlines() if name}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("simcse-engine enc", {"encode"}),
        ("simcse-engine se", {"search", "serve"}),
        ("simcse-engine index c", {"create", "compact", "count"}),
        ("simcse-engine index l", {"list"}),
        ("simcse-engine index update --m", {"--metadata", "--merge"}),
        ("simcse-engine encode --dt", {"--dtype"}),
        ("simcse-engine encode --truncate s", {"silent"}),
        ("simcse-engine encode m", {"minilm"}),
        ("simcse-engine encode sen", {"sentence-index"}),
        ("simcse-engine encode minilm sen", {"sentences.txt", "sentences.csv", "sentence-index"}),
        ("simcse-engine search --file sentences.", {"sentences.txt", "sentences.csv"}),
        ("simcse-engine search sen", {"sentence-index"}),
        ("simcse-engine serve minilm --index sen", {"sentence-index"}),
        ("simcse-engine encode --threads ", set()),
        ("simcse-engine --print-completion z", {"zsh"}),
        ("simcse-export m", {"minilm"}),
        ("simcse-export minilm --calibration sentences.", {"sentences.txt", "sentences.csv"}),
        ("simcse-export minilm --precision i", {"int8"}),
        ("simcse-export minilm --pri", {"--private", "--print-completion"}),
    ],
)
def test_bash(scripts: dict[tuple[str, str], Path], folder: Path, line: str, offered: set[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("this machine has no bash")
    assert completions(scripts[line.split()[0], "bash"], folder, line) == offered


@pytest.mark.parametrize(("shell", "check"), [("zsh", "-n"), ("tcsh", "-f")])
@pytest.mark.parametrize("program", PROGRAMS)
def test_other_shells_read_theirs(scripts: dict[tuple[str, str], Path], program: str, shell: str, check: str) -> None:
    found = shutil.which(shell)
    root = None if found else unpacked(shell)
    if found is None and root is None:
        pytest.skip(f"apt has no {shell}, or cannot be reached")
    command = [found or str(root / "bin" / shell), check, str(scripts[program, shell])]  # type: ignore[operator]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_shtab(program: str) -> None:
    script = f"""
        import importlib, sys
        sys.modules["shtab"] = None
        sys.stderr = sys.stdout
        assert importlib.import_module({PROGRAMS[program]!r}).main(["--print-completion", "bash"]) == 1
    """
    wanted = "completion needs shtab, which is not installed; pip install 'simcse-engine[completion]'"
    assert run_script(script) == f"{program}: error: {wanted}\n"


def test_the_line_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    from simcse_engine.cli.main import main

    with pytest.raises(SystemExit):
        main(["--help"])
    assert 'eval "$(simcse-engine --print-completion bash)"' in re.sub(r"\s+", " ", capsys.readouterr().out)
