"""What every program shares: how it prints warnings."""

import warnings

import pytest

from simcse_engine.cli.program import run_program
from simcse_engine.errors import IndexWarning


def test_memory_that_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise MemoryError

    assert run_program("some-program", work) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("some-program: error: memory ran out: ")


def test_warnings_are_a_line_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        for _ in range(2):
            warnings.warn(IndexWarning("its graph is damaged"), stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("of a library,\n  on two lines", FutureWarning, stacklevel=1)
        return 3

    assert run_program("some-program", work) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        *(["some-program: warning: its graph is damaged"] * 2),
        "some-program: warning: FutureWarning: of a library, on two lines",
    ]
